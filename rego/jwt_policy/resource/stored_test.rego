# The data of tests: resources as a push puts them.
package jwt_policy.stored_test

import data.jwt_policy.index

# A type's document with these resources, by id, and no index.
document(revision, resources) := {
	"state": {"layout": 1, "current": {
		"revision": revision, "generation": "g", "store": "tests", "count": count(resources),
	}},
	"generations": {"g": {"resources": object.union_n([{shard: {bucket: {id: value}}} |
		some id, value in resources
		hash := crypto.md5(id)
		shard := concat("", ["s", substring(hash, 0, 2)])
		bucket := concat("", ["b", substring(hash, 2, 2)])
	])}},
}

# The same with an index.
indexed(revision, resources) := object.union(document(revision, resources), {"generations": {"g": {
	"postings": object.union_n([{posting.shard: {posting.name: ids}} |
		some posting in {posting | some [posting, _] in pairs}
		ids := sort([id | some [other, id] in pairs; other == posting])
	]),
	"large": {"all": {
		"size": count(resources), "length": 1, "tops": [""], "firsts": [[""]],
		"pages": [sort(object.keys(resources))],
	}},
}}}) if {
	pairs := [[posting, id] |
		some id, resource in resources
		some name, value in resource.custom_data
		posting := index.posting(name, value)
	]
}
