# METADATA
# title: The policy claim
# description: What makes a policy claim invalid. An invalid one grants nothing at all.
# custom:
#   rules: [R8]
package jwt_policy.policy

import data.jwt_policy.pointer
import data.jwt_policy.settings

# METADATA
# title: All that is wrong with a policy claim
# description: Objects with `pointer` and `code`, sorted by both; none where the claim is valid.
# custom:
#   rules: [R8]
violations(claim) := [{"pointer": "", "code": "not_an_object"}] if {
	not is_object(claim)
} else := [{"pointer": broken[0], "code": broken[1]} |
	some broken in sort(_version(claim) | (_types(claim) | (_members(claim) | _values(claim))))
]

# R8.2, R8.3
_version(claim) := {["/version", "version_missing"]} if {
	not "version" in object.keys(claim)
} else := set() if {
	some version in settings.versions
	claim.version == version
} else := {["/version", "version_unsupported"]}

# R8.4
_types(claim) := {[pointer.of([name]), "unknown_resource_type"] |
	some name in (((object.keys(claim) - settings.types) - {"version"}) - _beside(claim))
}

# What may stand beside the resource types, and grants nothing.
_beside(claim) := {"push", "features"} if {
	3 in settings.versions
	claim.version == 3
} else := set()

# R8.5, R8.6; and R8.4 beside the types
_members(claim) := {[pointer.of([name]), "not_an_object"] |
	some name in (settings.types | _beside(claim))
	not is_object(object.get(claim, name, {}))
} | {[pointer.of([type, name]), "unknown_field"] |
	some type in settings.types
	is_object(claim[type])
	some name in (object.keys(claim[type]) - {"id", "custom_data"})
}

# R8.7, R8.8
_values(claim) := {[pointer.of([type, "id"]), "not_a_string"] |
	some type in settings.types
	is_object(claim[type])
	not is_string(object.get(claim[type], "id", ""))
} | {[pointer.of([type, "custom_data"]), "not_an_object"] |
	some type in settings.types
	is_object(claim[type])
	not is_object(object.get(claim[type], "custom_data", {}))
}
