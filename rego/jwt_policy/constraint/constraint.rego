# METADATA
# title: Constraints
# description: Whether a resource meets what the description of its type demands.
# custom:
#   rules: [R6, R9, R10, R11]
package jwt_policy.constraint

import data.jwt_policy.pointer

# METADATA
# title: Whether all constraints hold
# custom:
#   rules: [R9, R10]
hold(description, resource) if {
	object.get(description, "id", resource.id) == resource.id
	demanded := object.get(description, "custom_data", {})
	object.filter(object.get(resource, "custom_data", {}), demanded) == demanded
}

# METADATA
# title: The constraints that fail
# description: Objects with `pointer` and `code`, sorted by both.
# custom:
#   rules: [R6, R9, R10]
failures(description, resource) := [{"pointer": failed[0], "code": failed[1]} |
	some failed in sort(_id(description, resource) | _custom_data(
		object.get(description, "custom_data", {}),
		object.get(resource, "custom_data", {}),
	))
]

# R9
_id(description, resource) := {["/id", "different"] | description.id != resource.id}

# R10
_custom_data(demanded, found) := {[pointer.of(["custom_data", name]), "missing"] |
	some name in (object.keys(demanded) - object.keys(found))
} | {[pointer.of(["custom_data", name]), "different"] |
	some name, value in demanded
	value != found[name]
}
