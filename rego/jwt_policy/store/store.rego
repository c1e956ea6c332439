# METADATA
# title: Store
# scope: package
# description: Read the part of the store that a change of resources needs.
package jwt_policy.store

import data.jwt_policy.index
import data.jwt_policy.resource

# METADATA
# title: The part of the store that a change needs
# description: >-
#   Each change has an `id`, its `shard` and `bucket`, and the `postings` that the resource will be in: none where it is
#   removed. The result is an object with the buckets, the digests of their shards, and the postings that an id is added
#   to or removed from: short postings as a whole; of a long one its size, the page of each id, and these pages.
view(type, changes) := {
	"buckets": {concat("/", [change.shard, change.bucket]): _bucket(type, change.shard, change.bucket) |
		some change in changes
	},
	"digests": digests,
	"small": {posting.name: index.small(type, posting) | some posting in postings},
	"large": {posting.name: _large(type, posting, changed) |
		some posting in postings
		not index.small(type, posting)
		index.length(type, posting) > 0
	},
} if {
	generation := resource.current(type).generation
	digests := {change.shard: data.jwt_policy_data[type].generations[generation].digests[change.shard] |
		some change in changes
	}
	changed := {change.id: _changed_postings(type, change) | some change in changes}
	postings := union({changed_postings | some changed_postings in changed})
}

_large(type, posting, changed) := {"size": index.size(type, posting), "places": places, "pages": pages} if {
	places := {id: format_int(index.page_of(type, posting.name, id), 10) |
		some id, postings in changed
		posting in postings
	}
	pages := {number: index.page(type, posting, to_number(number)) | some number in places}
}

_bucket(type, shard, bucket) := resources if {
	generation := resource.current(type).generation
	resources := data.jwt_policy_data[type].generations[generation].resources[shard][bucket]
} else := {}

_changed_postings(type, change) := (before | after) - (before & after) if {
	before := _postings_before(type, change.id)
	after := {posting | some posting in change.postings}
}

_postings_before(type, id) := {index.all_ids} | postings if {
	stored := resource.stored(type, id).resource
	postings := {index.posting(name, value) | some name, value in object.get(stored, "custom_data", {})}
} else := set()
