"""What helps to test code that works on our arrays: assertions, and strategies for hypothesis."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules={"strategies"},  # needs hypothesis
    submod_attrs={
        "assertions": ["assert_lazy", "assert_roundtrip", "assert_same", "no_compute"],
    },
)
