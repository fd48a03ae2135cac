import { z } from 'zod';
import { ipAddress } from '../network.ts';
import { epochBody } from './migration.ts';
import { LARGE_BYTES, route } from '../route.ts';

/**
 * Connections of a guest as a host's connection tracking knows them, reported to the host that the guest moves to. They are
 * described and never named as a command: what is done with them is the other host's business.
 */

const port = z.number().int().min(0).max(65_535);
const octet = z.number().int().min(0).max(255);

const ends = z.object({ from: ipAddress, to: ipAddress });

/** The states that the kernel's table has for TCP. */
export const TCP_STATES = [
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'SYN_SENT2',
] as const;

const common = {
  /** As the side that began it sent it, and as its answers come; they differ where the host translates. */
  original: ends,
  reply: ends,
  /** Seconds until it is forgotten, unless it is heard of again. */
  timeoutS: z.number().int().min(0).max(864_000),
  seenReply: z.boolean(),
  assured: z.boolean(),
  mark: z.number().int().min(0).max(0xffff_ffff),
  zone: z.number().int().min(0).max(65_535),
};
const portPair = z.object({ from: port, to: port });
const ports = { originalPorts: portPair, replyPorts: portPair };

export const connection = z.discriminatedUnion('protocol', [
  z.object({ protocol: z.literal('tcp'), ...common, ...ports, state: z.enum(TCP_STATES) }),
  z.object({ protocol: z.literal('udp'), ...common, ...ports }),
  z.object({ protocol: z.literal('udplite'), ...common, ...ports }),
  z.object({ protocol: z.literal('icmp'), ...common, type: octet, code: octet, id: port }),
  z.object({ protocol: z.literal('icmpv6'), ...common, type: octet, code: octet, id: port }),
]);
export type Connection = z.infer<typeof connection>;

/** Of one guest; what is beyond is left out, and said. */
export const MAX_CONNECTIONS = 4096;
/** In one call. */
export const MAX_IN_CALL = 512;

/** What has changed since the last call. */
export const connectionsNews = z.object({
  fresh: z.array(connection).max(MAX_IN_CALL),
  gone: z.array(connection).max(MAX_IN_CALL),
  /** With this the source has reported everything: whatever else the destination knows of the guest is older. */
  complete: z.boolean(),
});
export type ConnectionsNews = z.infer<typeof connectionsNews>;

export const connectionsAnswer = z.object({
  /** Entries that this host has put in. */
  put: z.number().int().nonnegative(),
  /** Why it has put in none. */
  problem: z.string().max(1024).optional(),
  /** Addresses whose connections were not taken, and why: the guest's they are not, by what the destination sees. */
  leftOut: z.string().max(1024).optional(),
});
export type ConnectionsAnswer = z.infer<typeof connectionsAnswer>;

/** What a source reports to the destination's mover of them. */
export const connectionRoutes = {
  connections: route({
    method: 'POST',
    path: '/v1/connections',
    summary: 'Connections of the guest that the source tracks, and those that it tracks no longer',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    body: epochBody.extend(connectionsNews.shape),
    response: connectionsAnswer,
  }),
};
