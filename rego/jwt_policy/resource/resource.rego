# METADATA
# title: Resources
# description: The resource that is asked about, or the reason why there is none.
# custom:
#   rules: [R2, R12.8]
package jwt_policy.resource

# METADATA
# title: A resource that came with the question
# description: An object with `resource`, or with `reason`.
# custom:
#   rules: [R2, R12.8]
given(value) := {"resource": value} if {
	are_proper([value])
} else := {"reason": "invalid_resource"}

# METADATA
# title: Whether all of these values are resources
# custom:
#   rules: [R12.8]
are_proper(values) if {
	proper := [value |
		some value in values
		is_string(value.id)
		value.id != ""
		is_object(object.get(value, "custom_data", {}))
	]
	count(proper) == count(values)
}

# METADATA
# title: A resource that is asked by id
# description: An object with `resource`, or with `reason`.
# custom:
#   rules: [R2]
stored(type, id) := given(value) if {
	is_string(id)
	id != ""
	value := data.jwt_policy_data[type].resources[id]
	value.id == id
} else := {"reason": "invalid_resource"} if {
	is_string(id)
	id != ""
	type_name(data.jwt_policy_data[type].resources[id]) # a stored false is something that is stored
} else := {"reason": "unknown_resource"}

# METADATA
# title: The stored resources of these ids
# description: In the same order; undefined unless each id is that of a resource.
# custom:
#   rules: [R2]
all_stored(type, ids) := values if {
	values := [value |
		some id in ids
		value := data.jwt_policy_data[type].resources[id]
		value.id == id
	]
	count(values) == count(ids)
	are_proper(values)
}
