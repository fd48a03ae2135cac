import { DEFAULT_LIMITS, type RpcLimits, type Share } from '../../rpc/limits.ts';

/** Hundreds of people behind one proxy share an address, and each follows events. */
const FOLLOWERS: Pick<Share, 'connections' | 'streams'> = {
  connections: { each: 1024, all: 2048 },
  streams: { each: 768, all: 1024 },
};

export const WEB_LIMITS: RpcLimits = {
  ...DEFAULT_LIMITS,
  connections: 4096,
  handshakes: { burst: 1024, perS: 64 },
  keepAliveMs: 60_000,
  shares: {
    ...DEFAULT_LIMITS.shares,
    stranger: { ...DEFAULT_LIMITS.shares.stranger, connections: { each: 256, all: 1024 } },
    viewer: { ...DEFAULT_LIMITS.shares.viewer, ...FOLLOWERS },
    operator: { ...DEFAULT_LIMITS.shares.operator, ...FOLLOWERS },
  },
};
