"""Tiny files of every format that this library reads itself, written byte by byte from an image as it should be seen.

``PATTERN`` is asymmetric: a reader that turns, mirrors or transposes it is found out.
"""

from __future__ import annotations

import base64
import gzip
import struct
from collections.abc import Callable

import numpy as np

PATTERN = 10.0 * np.arange(3)[:, np.newaxis] + np.arange(4) + 1
"""Row 0 is the top, column 0 the left: [[1 2 3 4] [11 12 13 14] [21 22 23 24]]."""


def sxm(view: np.ndarray = PATTERN, *, up: bool = False) -> bytes:
    header = f"""\
:NANONIS_VERSION:
2
:SCANIT_TYPE:
              FLOAT            MSBFIRST
:REC_DATE:
 31.03.2023
:REC_TIME:
14:38:44
:REC_TEMP:
      290.0
:ACQ_TIME:
       131.3
:SCAN_PIXELS:
       {view.shape[1]}       {view.shape[0]}
:SCAN_TIME:
             2.560E-1             2.560E-1
:SCAN_RANGE:
           4.0E-9           3.0E-9
:SCAN_OFFSET:
             1.0E-8             2.0E-8
:SCAN_ANGLE:
            3.0E+1
:SCAN_DIR:
{"up" if up else "down"}
:BIAS:
            5.000E-2
:COMMENT:
a comment
:Z-Controller>Setpoint:
500E-12
:Z-Controller>Setpoint unit:
A
:DATA_INFO:
\tChannel\tName\tUnit\tDirection\tCalibration\tOffset
\t14\tZ\tm\tboth\t1.764E-8\t0.000E+0
\t0\tCurrent\tA\tforward\t3.330E-10\t0.000E+0

:SCANIT_END:


"""
    stored = view[::-1] if up else view
    planes = [stored, stored[:, ::-1], -stored]  # backward lines are stored as they were measured: from the right
    return header.encode("latin-1") + b"\x1a\x04" + b"".join(p.astype(">f4").tobytes() for p in planes)


def grid_3ds(view: np.ndarray = PATTERN, *, points: int = 5) -> bytes:
    ny, nx = view.shape
    header = f"""\
Grid dim="{nx} x {ny}"
Grid settings=1.0E-8;2.0E-8;4.0E-9;3.0E-9;4.5E+1
Sweep Signal="Bias (V)"
Fixed parameters="Sweep Start;Sweep End"
Experiment parameters="X (m);Z (m)"
# Parameters (4 byte)=4
Experiment size (bytes)={points * 8}
Points={points}
Channels="Current (A);LIX 1 omega [bwd] (A)"
Date="04.06.2016 20:13:23"
User=someone
:HEADER_END:
""".replace("\n", "\r\n")
    out = [header.encode()]
    for row in view[::-1]:  # the grid is measured from the bottom
        for value in row:
            parameters = [-1.0, 1.0, value, 2 * value]
            curve = value + 100.0 * np.arange(points)
            out.append(np.array([*parameters, *curve, *-curve], ">f4").tobytes())
    return b"".join(out)


def dat(*, sweeps: int = 2) -> bytes:
    bias = np.linspace(-1, 1, 6)
    names = ["Bias calc (V)", "Current [AVG] (A)", *(f"Current [{i + 1:05d}] (A)" for i in range(sweeps))]
    names += ["Current [AVG] [bwd] (A)"]
    columns = [bias, bias * 1e-9, *(bias * 1e-9 + i for i in range(sweeps)), -bias * 1e-9]
    lines = ["Experiment\tbias spectroscopy\t", "Date\t07.07.2020 15:01:50\t", "User\tsomeone\t", "X (m)\t1.5E-6\t"]
    lines += ["Z-Ctrl hold\tTRUE\t", "", "[DATA]", "\t".join(names)]
    lines += ["\t".join(f"{c[i]:.6E}" for c in columns) for i in range(len(bias))]
    return ("\r\n".join(lines) + "\r\n").encode()


def nanoscope(view: np.ndarray = PATTERN, *, bits: int = 16) -> bytes:
    ny, nx = view.shape
    stored = view[::-1].astype(f"<i{bits // 8}").tobytes()  # the first line of a file is the bottom
    text = f"""\
\\*File list
\\Version: 0x09200000
\\Date: 01:33:51 PM Mon Dec 15 2014
\\*Scanner list
\\@Sens. Zsens: V 10.00000 nm/V
\\*Ciao scan list
\\Scan Size: 400 nm
\\X Offset: 0 nm
\\Samps/line: {nx}
\\Lines: {ny}
\\Scan Rate: 1.5
\\@Sens. Amp: V 1.000000\x20
\\*Ciao image list
\\Data offset: 4096
\\Data length: {len(stored)}
\\Bytes/pixel: {bits // 8}
\\Frame direction: Down
\\Samps/line: {nx}
\\Number of lines: {ny}
\\Scan Size: 0.4 0.3 ~m
\\Line Direction: Trace
\\@2:Image Data: S [Height] "Height"
\\@2:Z scale: V [Sens. Zsens] (0.1 V/LSB) {0.5 * 2**bits} V
\\*Ciao image list
\\Data offset: {4096 + len(stored)}
\\Data length: {len(stored)}
\\Bytes/pixel: {bits // 8}
\\Samps/line: {nx}
\\Number of lines: {ny}
\\Scan Size: 0.4 0.3 ~m
\\Line Direction: Retrace
\\@2:Image Data: S [Phase] "Phase"
\\@2:Z scale: V [Sens. Missing] (0.1 º/LSB) {2.0**bits} º
\\*File list end
\x1a""".replace("\n", "\r\n")
    return text.encode("latin-1").ljust(4096, b"\0") + stored + stored


def nanoscope_force() -> bytes:
    approach, retract = np.arange(8), np.arange(8) * 2
    text = """\
\\*Force file list
\\Version: 0x08150308
\\Date: 03:04:58 PM Thu May 17 2018
\\*Scanner list
\\@Sens. Zsens: V 20.00000 nm/V
\\*Ciao scan list
\\Operating mode: Force
\\@Sens. DeflSens: V 50.00000 nm/V
\\*Ciao force list
\\Samps/line: 8 8
\\*Ciao force image list
\\Data offset: 2048
\\Data length: 32
\\Bytes/pixel: 2
\\Samps/line: 8 8
\\Spring Constant: 0.5
\\@4:Image Data: S [DeflectionError] "Deflection Error"
\\@4:Z scale: V [Sens. DeflSens] (0.0100000 V/LSB) 2.500000 V
\\@4:Ramp size: V [Sens. Zsens] (0.004780209 V/LSB) 4.0 V
\\*File list end
\x1a""".replace("\n", "\r\n")
    values = np.concatenate([approach, retract]).astype("<i2").tobytes()
    return text.encode("latin-1").ljust(2048, b"\0") + values


def _object(name: str, body: bytes) -> bytes:
    return name.encode() + b"\0" + struct.pack("<I", len(body)) + body


def _item(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + value


def _field(view: np.ndarray) -> bytes:
    ny, nx = view.shape
    body = _item("xres", "i", struct.pack("<i", nx)) + _item("yres", "i", struct.pack("<i", ny))
    body += _item("xreal", "d", struct.pack("<d", 4e-9)) + _item("yreal", "d", struct.pack("<d", 3e-9))
    for axis, unit in (("xy", b"m"), ("z", b"A")):
        body += _item(f"si_unit_{axis}", "o", _object("GwySIUnit", _item("unitstr", "s", unit + b"\0")))
    body += _item("data", "D", struct.pack("<I", view.size) + view.astype("<f8").tobytes())
    return _object("GwyDataField", body)


def gwy(view: np.ndarray = PATTERN) -> bytes:
    body = _item("/0/data/title", "s", b"Current\0") + _item("/0/data", "o", _field(view))
    meta = _object("GwyContainer", _item("Operator", "s", b"someone\0"))
    body += _item("/0/meta", "o", meta) + _item("/0/select", "b", b"\1")
    return b"GWYP" + _object("GwyContainer", body)


def gwy_old(view: np.ndarray = PATTERN) -> bytes:
    body = struct.pack("<I", 64) + b"/0/base/palette\0Blue\0"
    body += struct.pack("<I", 80) + b"/0/data\0" + _field(view)
    return b"GWYO" + _object("GwyContainer", body)


def gsf(view: np.ndarray = PATTERN) -> bytes:
    ny, nx = view.shape
    text = f"XRes = {nx}\nYRes = {ny}\nXReal = 4e-9\nYReal = 3e-9\nXYUnits = m\nZUnits = A\nTitle = Current\n"
    head = b"Gwyddion Simple Field 1.0\n" + text.encode()
    return head + b"\0" * (4 - len(head) % 4) + view.astype("<f4").tobytes()


def _wsxm_header(kind: str, sections: dict[str, dict[str, object]], first: str) -> bytes:
    lines = []
    for name, entries in sections.items():
        lines += [f"[{name}]", "", *(f"    {k}: {v}" for k, v in entries.items()), ""]
    body = "\r\n".join([*lines, "[Header end]", ""])
    for _ in range(3):  # the header says how long it is
        size = len(f"{first}{kind}\r\nImage header size: 0000\r\n{body}")
        text = f"{first}{kind}\r\nImage header size: {size:04d}\r\n{body}"
    return text.encode("latin-1")


def wsxm(view: np.ndarray = PATTERN) -> bytes:
    ny, nx = view.shape
    sections = {
        "Control": {"X Amplitude": "4 nm", "Y Amplitude": "3 nm", "Set Point": "-0.5 V", "Topography Bias": "20 mV"},
        "General Info": {
            "Acquisition channel": "Topography",
            "Acquisition time": "03/11/2011, 20:23:46.484",
            "Image Data Type": "short",
            "Number of columns": nx,
            "Number of rows": ny,
            "X scanning direction": "Forward",
            "Y scanning direction": "Up",
            "Z Amplitude": f"{np.ptp(view):g} nm",
        },
        "Miscellaneous": {"Maximum": int(view.max() * 10), "Minimum": int(view.min() * 10)},
    }
    head = _wsxm_header("SxM Image file", sections, "WSxM file copyright Nanotec Electronica\r\n")
    return head + (10 * view[::-1, ::-1]).astype("<i2").tobytes()  # stored turned by 180 degrees


def wsxm_curves() -> bytes:
    general = {"Image Data Type": "double", "Number of columns": 2, "Number of rows": 2}
    head = _wsxm_header("WSxM Lithography curves", {"General Info": general}, "WSxM file copyright UAM\r\n")
    out = head + np.zeros(4).tobytes()
    for number in range(2):
        sections = {
            "General Info": {
                "Conversion Factor 00": "2 V",
                "Conversion Offset 00": "1 V",
                "Number of lines": 2,
                "Number of points": 3,
                "X axis text": "Z [#x]",
                "X axis unit": "nm",
                "Y axis text": "Amplitude [#y]",
            },
            "Miscellaneous": {"First Forward": "Yes"},
        }
        pairs = np.stack([np.arange(6.0), 10 * number + np.arange(6.0)], axis=-1)
        out += _wsxm_header("FZ curve file", sections, "") + pairs.astype("<f8").tobytes()
    return out


def anasys(view: np.ndarray = PATTERN, *, packed: bool = True) -> bytes:
    ny, nx = view.shape
    samples = base64.b64encode(view.astype("<f4").tobytes()).decode()
    curve = base64.b64encode(np.arange(5, dtype="<f4").tobytes()).decode()
    text = f"""<?xml version="1.0" encoding="utf-16"?>
<Document Version="1.0" DocType="IR" xmlns="www.anasysinstruments.com"><HeightMaps>
<HeightMap Visible="true" DataChannel="height" Label="Height 1"><Position><X>1</X><Y>2</Y><Z>0</Z></Position>
<Size><X>4</X><Y>3</Y></Size><Resolution><X>{nx}</X><Y>{ny}</Y></Resolution><Units>m</Units><UnitPrefix>n</UnitPrefix>
<Tags><Tag Name="ScanRate" Value="1 Hz" /><Tag Name="TraceRetrace" Value="PrimaryTrace" /></Tags>
<TimeStamp>2016-04-29T11:01:55-07:00</TimeStamp><SampleBase64>{samples}</SampleBase64></HeightMap></HeightMaps>
<RenderedSpectra><IRRenderedSpectra><Label>Spectrum 1</Label><StartWavenumber>900</StartWavenumber>
<EndWavenumber>940</EndWavenumber><Location><X>1</X><Y>2</Y></Location>
<DataChannels Name="IR-Amplitude" DataChannel="ringfreqamplitude"><SampleBase64>{curve}</SampleBase64></DataChannels>
<DataChannels Name="Frequency" DataChannel="ringfreq"><SampleBase64>{curve}</SampleBase64></DataChannels>
</IRRenderedSpectra></RenderedSpectra></Document>""".encode("utf-16")
    return gzip.compress(text) if packed else text


def pifm(view: np.ndarray = PATTERN) -> dict[str, bytes]:
    ny, nx = view.shape
    text = f""";ANFATEC Parameterfile

Version : 1.12
VistaScanVersion : 1.6.1
SampleName : MAPI on glass
StartDate : 05/24/2017
StartTime : 05:29:51 PM
XScanRange : 4
YScanRange : 3
XPhysUnit  : µm
YPhysUnit  : µm
Speed      : 0.65 ; lines/sec
Angle      : 90 ; degrees
xPixel     : {nx}
yPixel     : {ny}
yCenter    : -1
xCenter    : 2

FileDescBegin
FileName : aTopographyFwd.int
Caption  : TopographyFwd
Scale    : 0.1
PhysUnit : nm
Offset   : 5
FileDescEnd

FileDescBegin
FileName : aTopographyBwd.int
Caption  : TopographyBwd
Scale    : 0.1
PhysUnit : nm
Offset   : 0
FileDescEnd

FileDescBegin
FileName : aGone.int
Caption  : GoneFwd
Scale    : 1
PhysUnit : V
Offset   : 0
FileDescEnd

FileDesc2Begin
FileName : ahyPIR.int
Caption  : hyPIR
BytesPerPixel : 8
Scale : 1
PhysUnit : V
FileNameWavelengths : ahyPIRWavelengths.txt
PhysUnitWavelengths : cm-1
FileDesc2End
"""
    ints = (10 * view).astype("<i4").tobytes()
    cube = np.stack([view, 2 * view], axis=-1).astype("<i4").tobytes()
    return {
        "a.txt": text.encode("latin-1"),
        "aTopographyFwd.int": ints,
        "aTopographyBwd.int": ints,
        "ahyPIR.int": cube,
        "ahyPIRWavelengths.txt": b"800\n810\n",
    }


def _calibration(name: str, unit: str, bias: float, scale: float, low: int, high: int, kind: int) -> bytes:
    texts = name.encode("cp1251") + unit.encode("cp1251")
    inner = struct.pack("<IIIQd", len(name), 0, len(unit), 0, 0.0) + bytes(8)
    inner += struct.pack("<ddqqiI", bias, scale, low, high, kind, 0)
    return struct.pack("<II", 8 + len(inner) + len(texts), len(inner)) + inner + texts


def mdt(view: np.ndarray = PATTERN) -> bytes:
    ny, nx = view.shape
    stored = view[::-1].astype("<i2").tobytes()
    scales = struct.pack("<ffhffhffh", 0, 0.5, -2, 0, 0.5, -2, 1.0, 0.25, 1)
    scan = scales + struct.pack("<BBHH", 4, 0, nx, ny)
    body = scan.ljust(110, b"\0") + struct.pack("<4H", 0, nx, ny, 0) + stored + struct.pack("<I", 4) + b"Scan"
    frames = [_frame(0, body, 110)]
    cal = _calibration("x", "nm", 0, 1, 0, nx - 1, -8) + _calibration("y", "nm", 0, 2, 0, ny - 1, -8)
    cal += _calibration("I", "nA", 0, 0.1, -32768, 32767, -2)
    # total length, length of the structure, then the structure: cells, bytes of one, dimensions, quantities
    structure = struct.pack("<QIII", nx * ny, 2, 2, 1)
    head = struct.pack("<II", 76, 0) + bytes(36) + struct.pack("<6I", 5, 0, 0, 0, 0, 0) + bytes(8)
    frames.append(_frame(106, head + b"Probe" + struct.pack("<II", 0, len(structure)) + structure + cal + stored, 0))
    frames.append(_frame(190, _points(), 0))
    data = b"".join(frames)
    return b"\x01\xb0\x93\xff" + struct.pack("<I4xH", len(data), len(frames) - 1).ljust(29, b"\0") + data


def _frame(kind: int, body: bytes, variables: int) -> bytes:
    head = struct.pack("<IHBB7H", 22 + len(body), kind, 7, 0, 2023, 4, 5, 11, 46, 5, variables)
    return head + body


def _points() -> bytes:
    xml = """<data><info version="1">
<Name index="0" name="BVValue" unit="V"/><Name index="1" name="Iprobe" unit="nA"/>
<Axis index="0" name="0" start="-1" stop="1" count="3" value="0"/>
<Point index="0" x="1.5" y="2.5" unit="um"/><Point index="1" x="3.5" y="4.5" unit="um"/>
<Meas index="0" pass="0" inverse0="0" axis0="0" name="1"/><Meas index="1" pass="0" inverse0="0" axis0="0" name="1"/>
</info></data>"""
    blocks = {f"point{i}.dat": struct.pack("<I", i) for i in range(2)}
    blocks |= {f"data{i}.dat": (10.0 * i + np.arange(3.0)).tobytes() for i in range(2)}
    blocks["index.xml"] = xml.encode()
    out = struct.pack("<I", len(blocks))
    out += b"".join(struct.pack("<II", len(name), len(value)) for name, value in blocks.items())
    return out + "".join(blocks).encode() + b"".join(blocks.values())


def ibw(view: np.ndarray = PATTERN) -> bytes:
    """An Asylum image of two layers."""
    ny, nx = view.shape
    layers = np.stack([view, -view])[:, ::-1]  # y points up, x is fast
    note = b"ScanSize: 4e-9\rScanRate: 1.5\rImagingMode: AC Mode\rSpringConstant: 2.5\rInvOLS: 1e-7\r"
    labels = b"".join(text.ljust(32, b"\0") for text in (b"", b"HeightRetrace", b"PhaseRetrace\0race"))
    wave = struct.pack("<II", 0, 0) + struct.pack("<I", 3_600_000_000) + struct.pack("<i", 2 * nx * ny)
    wave += struct.pack("<hh", 2, 0) + bytes(6) + struct.pack("<h", 1) + b"image".ljust(32, b"\0") + bytes(8)
    wave += struct.pack("<4i", nx, ny, 2, 0) + struct.pack("<4d", 1e-9, 1e-9, 1, 1) + struct.pack("<4d", 0, 0, 0, 0)
    wave += b"m".ljust(4, b"\0") + b"".join(u.ljust(4, b"\0") for u in (b"m", b"m", b"", b""))
    wave = wave.ljust(320, b"\0")
    data = layers.astype("<f4").tobytes()
    sizes = struct.pack("<4i", len(wave) + len(data), 0, len(note), 0) + bytes(16)
    sizes += struct.pack("<4i", 0, 0, len(labels), 0)
    head = struct.pack("<hh", 5, 0) + sizes + bytes(8)
    head = head.ljust(64, b"\0")
    words = np.frombuffer(head[:64] + wave, "<i2").astype(np.int64)
    check = (-int(words.sum())) & 0xFFFF
    head = head[:2] + struct.pack("<H", check) + head[4:]
    return head + wave + data + note + labels


def npy(view: np.ndarray = PATTERN) -> bytes:
    import io

    out = io.BytesIO()
    np.save(out, view)
    return out.getvalue()


def csv() -> bytes:
    return b"# made by hand\nBias (V),Current (nA)\n-1,10\n0,20\n1,30\n"


def mrc(view: np.ndarray = PATTERN) -> bytes:
    ny, nx = view.shape
    head = struct.pack("<10i", nx, ny, 1, 2, 0, 0, 0, nx, ny, 1) + struct.pack(
        "<6f", 10.0 * nx, 10.0 * ny, 10, 90, 90, 90
    )
    head += struct.pack("<3i", 1, 2, 3) + bytes(12) + struct.pack("<2i", 0, 0)
    head = head.ljust(208, b"\0") + b"MAP " + b"\x44\x44\0\0"
    return head.ljust(1024, b"\0") + view.astype("<f4").tobytes()


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "nanonis_sxm": ("a.sxm", sxm),
    "nanonis_sxm up": ("a.sxm", lambda: sxm(up=True)),
    "nanonis_3ds": ("a.3ds", grid_3ds),
    "nanonis_dat": ("a.dat", dat),
    "nanoscope": ("a.spm", nanoscope),
    "nanoscope 32 bit": ("a.001", lambda: nanoscope(bits=32)),
    "nanoscope force": ("a.002", nanoscope_force),
    "gwy": ("a.gwy", gwy),
    "gwy version 1": ("a.gwy", gwy_old),
    "gsf": ("a.gsf", gsf),
    "wsxm": ("a.top", wsxm),
    "wsxm curves": ("a.curves", wsxm_curves),
    "anasys": ("a.axz", anasys),
    "anasys axd": ("a.axd", lambda: anasys(packed=False)),
    "ntmdt": ("a.mdt", mdt),
    "npy": ("a.npy", npy),
    "csv": ("a.csv", csv),
    "igor": ("a.ibw", ibw),
    "mrc": ("a.mrc", mrc),
}
