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
	is_string(value.id)
	value.id != ""
	is_object(object.get(value, "custom_data", {}))
} else := {"reason": "invalid_resource"}

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
