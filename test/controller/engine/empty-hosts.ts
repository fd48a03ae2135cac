import type { HostCalls } from '../../../src/controller/engine/ports.ts';

/** For tests in which hosts report nothing that the fleet's list does not have. */
export const emptyHosts: HostCalls = {
  occupancy: async () => ({ of: 'host', occupancy: { guests: [], underWay: [] } }),
  close: async () => true,
  open: async () => true,
};
