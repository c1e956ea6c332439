"""Decides through Open Policy Agent what the `policy` claim of a JWT lets its bearer access."""
