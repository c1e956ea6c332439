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
failures(description, resource) := failures_of_each(description, [resource])[0]

# METADATA
# title: The constraints that fail for each of these resources
# description: >-
#   Arrays of objects with `pointer` and `code`, sorted by both. Without a call for each resource, and what is the same
#   for all is made once: this costs a fifth of one after the other.
# custom:
#   rules: [R6, R9, R10]
failures_of_each(description, resources) := [failed |
	some resource in resources

	# No JSON value is a set, so what is missing is equal to nothing that can be demanded.
	failed := [{"pointer": at, "code": _codes[found == set()]} |
		some [at, path, demanded] in constraints
		found := object.get(resource, path, set())
		found != demanded
	]
] if {
	# Pointers come first, to be sorted by.
	constraints := sort(_id(description) | _custom_data(description))
}

# By whether the member is missing.
_codes := {true: "missing", false: "different"}

# R9
_id(description) := {["/id", ["id"], demanded] | demanded := description.id}

# R10
_custom_data(description) := {[pointer.of(path), path, demanded] |
	some name, demanded in description.custom_data
	path := ["custom_data", name]
}
