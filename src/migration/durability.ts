/**
 * When a record must be on disk. `sync`: before anything follows from it. `soon`: within moments, and nothing waits
 * for it. `later`: with the next record of either kind. `spared`: as `later`, but may be dropped from a long journal,
 * because no decision uses it. Only a power loss can lose a written record.
 */
export type Durability = 'sync' | 'soon' | 'later' | 'spared';
