/**
 * When a record has to lie on the disk: `sync` before anything follows from it; `soon` within moments, waited for by
 * nobody; `later` with the next record of either kind. A record is in the kernel at once: only a power loss takes it.
 *
 * What is written from the start of memory until the guest runs at its destination is `later`: a disk that syncs
 * inside the blackout would make it longer.
 */
export type Durability = 'sync' | 'soon' | 'later';
