# METADATA
# title: Lists
# scope: package
# description: List the ids of the stored resources of a type that a decision would allow, in pages.
# custom:
#   rules: [R3, R4, R5, R9, R10, R11]
package jwt_policy.listing

import data.jwt_policy.constraint
import data.jwt_policy.index
import data.jwt_policy.resource

# METADATA
# title: Some pages of a list
# description: >-
#   An object with `decision` where every resource is denied. Otherwise one with `pages`: arrays of ids in the order of
#   code points, from the page `request.page` on. `length` is the number of all pages. `everything` is true where the
#   policy sets no constraint. There are at most `request.pages` pages where the index has the result, and at most
#   `request.scanned` where the resource of each id must be read.
result(granted, request) := {"decision": decision} if {
	decision := granted.denial
} else := {"decision": decision} if {
	decision := granted.decision
	not decision.allow
} else := _from_index(index.all_ids, request.pages, request, true) if {
	_has_no_constraint(granted)
} else := {"everything": false, "length": 1, "pages": [_by_id(granted.description, request)]} if {
	granted.description.id
} else := _from_index(posting, request.pages, request, false) if {
	[posting] := [index.posting(name, value) | some name, value in granted.description.custom_data]
} else := object.union(candidates, {"pages": pages}) if {
	candidates := _from_index(
		_smallest_posting(granted.description, request.type),
		request.scanned,
		request,
		false,
	)
	pages := [_matching(granted.description, request.type, page) | some page in candidates.pages]
}

_has_no_constraint(granted) if granted.decision

_has_no_constraint(granted) if {
	not "id" in object.keys(granted.description)
	object.get(granted.description, "custom_data", {}) == {}
}

_by_id(description, request) := [description.id] if {
	request.page == 0
	constraint.hold(description, resource.stored(request.type, description.id).resource)
} else := []

_smallest_posting(description, type) := min([[size, posting] |
	some name, value in description.custom_data
	posting := index.posting(name, value)
	size := index.size(type, posting)
])[1]

# The ids on a page whose resources match. This is `constraint.hold` of `resource.stored`, for a description that has
# `custom_data` alone. It is written out, because the calls and the copies of whole resources would take most of the
# time of a list.
_matching(description, type, page) := [id |
	some id in page
	hash := crypto.md5(id)
	shard := concat("", ["s", substring(hash, 0, 2)])
	bucket := concat("", ["b", substring(hash, 2, 2)])
	data.jwt_policy_data[type].generations[generation].resources[shard][bucket][id].id == id
	actual := data.jwt_policy_data[type].generations[generation].resources[shard][bucket][id].custom_data
	object.filter(actual, description.custom_data) == description.custom_data
] if {
	generation := resource.current(type).generation
}

_from_index(posting, limit, request, everything) := {"everything": everything, "length": length, "pages": pages} if {
	length := index.length(request.type, posting)
	first := min([request.page, length]) # a request may name any page: a range to a high number would take too long
	pages := [index.page(request.type, posting, number) |
		some number in numbers.range(first, min([first + limit, length]) - 1)
		number >= first # a range also counts downwards
	]
}
