# METADATA
# title: JSON Pointers
# scope: package
# description: Write JSON Pointers (RFC 6901).
package jwt_policy.pointer

# METADATA
# title: The pointer to the member that has these names on its path
# description: >-
#   It uses `split` and `concat`, whose time is proportional to the length of the name. In OPA's Wasm, `replace` copies
#   the whole name for each character that it replaces.
from_names(names) := concat("", [concat("", ["/", escaped]) |
	some name in names
	escaped := concat("~1", split(concat("~0", split(name, "~")), "/"))
])
