# METADATA
# title: JSON Pointers
# description: RFC 6901.
package jwt_policy.pointer

# METADATA
# title: The pointer through members of these names
# description: >-
#   By `split` and `concat`, which take time in proportion to the name. `replace` in OPA's Wasm copies the whole name at
#   each character that it replaces.
of(names) := concat("", [concat("", ["/", escaped]) |
	some name in names
	escaped := concat("~1", split(concat("~0", split(name, "~")), "/"))
])
