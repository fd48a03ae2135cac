/** The container that the cells move. */
const MIB = 1024 ** 2;

export const BOX = 'box1';
export const LOAD = { staticBytes: 24 * MIB, dirtyBytes: 4 * MIB, dirtyBytesPerSecond: MIB };
/** What lies on a host of containers that come and go: twice the dump, and what is kept of one that has left. */
export const DISK_MIB = 640;
