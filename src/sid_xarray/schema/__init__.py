"""What is said about data: attribute names, dimension and data kinds, unit spelling, records. Standard library only."""
