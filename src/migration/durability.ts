/**
 * When a record has to lie on the disk: `sync` before anything follows from it; `soon` within moments, waited for by
 * nobody; `later` with the next record of either kind; `spared` like `later`, and it may be left out of a journal that
 * has grown long, since nothing is decided by it. A record is in the kernel at once: only a power loss takes it.
 */
export type Durability = 'sync' | 'soon' | 'later' | 'spared';
