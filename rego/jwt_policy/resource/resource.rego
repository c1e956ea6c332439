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
	value := _at(type, id)
	value.id == id
} else := {"reason": "invalid_resource"} if {
	is_string(id)
	id != ""
	type_name(_at(type, id)) # a stored false is something that is stored
} else := {"reason": "unknown_resource"}

# METADATA
# title: The state of a type's stored resources
# description: >-
#   What is current, or `layout` where that is one that these rules do not know; undefined where nothing was ever
#   pushed.
state(type) := current(type)

state(type) := {"layout": data.jwt_policy_data[type].state.layout} if {
	data.jwt_policy_data[type].state.layout != 1
}

# METADATA
# title: What is current of a type's stored resources
# description: An object with `revision`, `generation`, `store` and `count`; undefined where nothing was ever pushed.
current(type) := data.jwt_policy_data[type].state.current if data.jwt_policy_data[type].state.layout == 1

# Where a push puts it.
_at(type, id) := data.jwt_policy_data[type].generations[generation].resources[shard][bucket][id] if {
	generation := current(type).generation
	hash := crypto.md5(id)
	shard := concat("", ["s", substring(hash, 0, 2)])
	bucket := concat("", ["b", substring(hash, 2, 2)])
}

# METADATA
# title: The stored resources of these ids
# description: In the same order; undefined unless each id is that of a resource.
# custom:
#   rules: [R2]
all_stored(type, ids) := values if {
	values := [value |
		some id in ids
		is_string(id)
		value := _at(type, id)
		value.id == id
	]
	count(values) == count(ids)
	are_proper(values)
}
