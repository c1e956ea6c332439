# METADATA
# title: Lists
# description: The ids of the stored resources of a type that a decision would allow, in pages.
# custom:
#   rules: [R3, R4, R5, R9, R10, R11]
package jwt_policy.listing

import data.jwt_policy.constraint
import data.jwt_policy.index
import data.jwt_policy.resource

# METADATA
# title: A piece of a list
# description: >-
#   An object with `decision` where the answer is no for every resource. Otherwise with `pages`, arrays of ids in the
#   order of code points that begin with the page `asked.page` of `length` ones; `everything` tells that nothing is
#   demanded. At most `asked.pages` are given where pages are the answer, and `asked.scanned` where each id on them has
#   to be looked at.
of(granted, asked) := {"decision": decision} if {
	decision := granted.first
} else := {"decision": decision} if {
	decision := granted.then
	not decision.allow
} else := _by_index(index.all_ids, asked.pages, asked, true) if {
	_demands_nothing(granted)
} else := {"everything": false, "length": 1, "pages": [_only(granted.description, asked)]} if {
	granted.description.id
} else := _by_index(posting, asked.pages, asked, false) if {
	[posting] := [index.posting(name, value) | some name, value in granted.description.custom_data]
} else := object.union(found, {"pages": pages}) if {
	found := _by_index(_rarest(granted.description, asked.type), asked.scanned, asked, false)
	pages := [_holding(granted.description, asked.type, page) | some page in found.pages]
}

_demands_nothing(granted) if granted.then

_demands_nothing(granted) if {
	not "id" in object.keys(granted.description)
	object.get(granted.description, "custom_data", {}) == {}
}

_only(description, asked) := [description.id] if {
	asked.page == 0
	constraint.hold(description, resource.stored(asked.type, description.id).resource)
} else := []

_rarest(description, type) := min([[size, posting] |
	some name, value in description.custom_data
	posting := index.posting(name, value)
	size := index.size(type, posting)
])[1]

# What `constraint.hold` of `resource.stored` says where `custom_data` alone is demanded. Written out, because the calls
# and the copies of whole resources would be most of a list's time.
_holding(description, type, page) := [id |
	some id in page
	hash := crypto.md5(id)
	shard := concat("", ["s", substring(hash, 0, 2)])
	bucket := concat("", ["b", substring(hash, 2, 2)])
	data.jwt_policy_data[type].generations[generation].resources[shard][bucket][id].id == id
	found := data.jwt_policy_data[type].generations[generation].resources[shard][bucket][id].custom_data
	object.filter(found, description.custom_data) == description.custom_data
] if {
	generation := resource.current(type).generation
}

_by_index(posting, most, asked, everything) := {"everything": everything, "length": length, "pages": pages} if {
	length := index.length(asked.type, posting)
	first := min([asked.page, length]) # whoever asks may name any page: a range to it would be as long as they please
	pages := [index.page(asked.type, posting, number) |
		some number in numbers.range(first, min([first + most, length]) - 1)
		number >= first # a range counts downwards too
	]
}
