# METADATA
# title: Resources
# scope: package
# description: Read and validate the resource of a request.
# custom:
#   rules: [R2, R12.8]
package jwt_policy.resource

# METADATA
# title: A value that should be a resource
# description: An object with `resource`, or with `reason` where the value is not valid.
# custom:
#   rules: [R2, R12.8]
validated(value) := {"resource": value} if {
	are_valid([value])
} else := {"reason": "invalid_resource"}

# METADATA
# title: Whether all of these values are valid resources
# custom:
#   rules: [R12.8]
are_valid(values) if {
	valid := [value |
		some value in values
		is_string(value.id)
		value.id != ""
		is_object(object.get(value, "custom_data", {}))
	]
	count(valid) == count(values)
}

# METADATA
# title: The stored resource of an id
# description: An object with `resource`, or with `reason`.
# custom:
#   rules: [R2]
stored(type, id) := validated(value) if {
	is_string(id)
	id != ""
	value := _stored_value(type, id)
	value.id == id
} else := {"reason": "invalid_resource"} if {
	is_string(id)
	id != ""

	# True for every stored value, false and null included, because no JSON value is a set.
	_stored_value(type, id) != set()
} else := {"reason": "unknown_resource"}

# METADATA
# title: The state of the stored resources of a type
# scope: document
# description: >-
#   The current state, or an object with `layout` where these rules do not know the layout. Undefined where no resources
#   were pushed.
state(type) := current(type)

state(type) := {"layout": data.jwt_policy_data[type].state.layout} if {
	data.jwt_policy_data[type].state.layout != 1
}

# METADATA
# title: The current state of the stored resources of a type
# description: An object with `revision`, `generation`, `store` and `count`. Undefined where no resources were pushed.
current(type) := data.jwt_policy_data[type].state.current if data.jwt_policy_data[type].state.layout == 1

# A push writes each resource to this path.
_stored_value(type, id) := value if {
	generation := current(type).generation
	hash := crypto.md5(id)
	shard := concat("", ["s", substring(hash, 0, 2)])
	bucket := concat("", ["b", substring(hash, 2, 2)])
	value := data.jwt_policy_data[type].generations[generation].resources[shard][bucket][id]
}

# METADATA
# title: The stored resources of these ids
# description: An array in the same order. Undefined unless every id has a valid resource.
# custom:
#   rules: [R2]
all_stored(type, ids) := values if {
	values := [value |
		some id in ids
		is_string(id)
		value := _stored_value(type, id)
		value.id == id
	]
	count(values) == count(ids)
	are_valid(values)
}
