# The data of tests: resources as a push puts them.
package jwt_policy.stored_test

import data.jwt_policy.index

# A type's document with these resources, by id; values that are no resources have no postings.
document(revision, resources) := {
	"state": {"layout": 1, "current": _current(revision, resources)},
	"generations": {"g": {
		"resources": {shard: {bucket: {id: value |
			some id, value in resources
			_place(id) == [shard, bucket]
		} |
			some id, _ in resources
			bucket := _place(id)[1]
			_place(id)[0] == shard
		} |
			some other, _ in resources
			shard := _place(other)[0]
		},
		"postings": {shard: {name: _ids(resources, {"shard": shard, "name": name}) |
			some posting in _postings(resources)
			posting.shard == shard
			name := posting.name
		} |
			some other in _postings(resources)
			shard := other.shard
		},
		"large": {"all": {
			"size": count(resources), "length": 1, "tops": [""], "firsts": [[""]],
			"pages": [sort(object.keys(resources))],
		}},
	}},
}

_current(revision, resources) := {
	"revision": revision, "generation": "g", "store": "tests", "count": count(resources),
}

_place(id) := [concat("", ["s", substring(hash, 0, 2)]), concat("", ["b", substring(hash, 2, 2)])] if {
	hash := crypto.md5(id)
}

_postings(resources) := {index.posting(name, value) |
	some resource in resources
	some name, value in resource.custom_data
}

_ids(resources, posting) := sort([id |
	some id, resource in resources
	some name, value in resource.custom_data
	index.posting(name, value) == posting
])
