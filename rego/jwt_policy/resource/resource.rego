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
#   What is current, or `layout` where that is one that these rules do not know; undefined where nothing was ever pushed.
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
