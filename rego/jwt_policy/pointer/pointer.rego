# METADATA
# title: JSON Pointers
# description: RFC 6901.
package jwt_policy.pointer

# METADATA
# title: The pointer through members of these names
of(names) := concat("", [concat("", ["/", escaped]) |
	some name in names
	escaped := replace(replace(name, "~", "~0"), "/", "~1")
])
