# METADATA
# title: The policy claim
# scope: package
# description: Validate a policy claim. An invalid one grants nothing at all.
# custom:
#   rules: [R8]
package jwt_policy.policy

import data.jwt_policy.pointer
import data.jwt_policy.settings

# METADATA
# title: All violations of a policy claim
# description: An array of objects with `pointer` and `code`, sorted by both. Empty where the claim is valid.
# custom:
#   rules: [R8]
violations(claim) := [{"pointer": "", "code": "not_an_object"}] if {
	not is_object(claim)
} else := [{"pointer": at, "code": code} |
	some [at, code] in sort(_version(claim) | (_types(claim) | (_members(claim) | _values(claim))))
]

# R8.2, R8.3
_version(claim) := {["/version", "version_missing"]} if {
	not "version" in object.keys(claim)
} else := set() if {
	some version in settings.versions
	claim.version == version
} else := {["/version", "version_unsupported"]}

# R8.4
_types(claim) := {[pointer.from_names([name]), "unknown_resource_type"] |
	some name in (((object.keys(claim) - settings.types) - {"version"}) - _other_members(claim))
}

# The other members that this version allows. They grant nothing.
_other_members(claim) := {"push", "features"} if {
	3 in settings.versions
	claim.version == 3
} else := set()

# R8.5, R8.6; and R8.4 for the other members
_members(claim) := {[pointer.from_names([name]), "not_an_object"] |
	some name in (settings.types | _other_members(claim))
	not is_object(object.get(claim, name, {}))
} | {[pointer.from_names([type, name]), "unknown_field"] |
	some type in settings.types
	is_object(claim[type])
	some name in (object.keys(claim[type]) - {"id", "custom_data"})
}

# R8.7, R8.8
_values(claim) := {[pointer.from_names([type, "id"]), "not_a_string"] |
	some type in settings.types
	is_object(claim[type])
	not is_string(object.get(claim[type], "id", ""))
} | {[pointer.from_names([type, "custom_data"]), "not_an_object"] |
	some type in settings.types
	is_object(claim[type])
	not is_object(object.get(claim[type], "custom_data", {}))
}
