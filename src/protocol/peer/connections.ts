import { z } from 'zod';
import { ipAddress } from '../network.ts';
import { epochBody } from './migration.ts';
import { LARGE_BYTES, route } from '../route.ts';

/**
 * A guest's connections in a host's connection tracking, reported to its next host as data; that host decides how to
 * use them.
 */

const port = z.number().int().min(0).max(65_535);
const octet = z.number().int().min(0).max(255);

const ends = z.object({ from: ipAddress, to: ipAddress });

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
  /** As the initiator sends, and as answers come; they differ if the host translates addresses. */
  original: ends,
  reply: ends,
  /** Seconds until it expires without traffic. */
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

/** Per guest; further ones are left out and counted. */
export const MAX_CONNECTIONS = 4096;
export const MAX_IN_CALL = 512;

export const connectionsNews = z.object({
  fresh: z.array(connection).max(MAX_IN_CALL),
  gone: z.array(connection).max(MAX_IN_CALL),
  /** The source has now reported everything; other entries for the guest are outdated. */
  complete: z.boolean(),
});
export type ConnectionsNews = z.infer<typeof connectionsNews>;

export const connectionsAnswer = z.object({
  put: z.number().int().nonnegative(),
  problem: z.string().max(1024).optional(),
  /** Refused addresses, because they are not the guest's by the destination's observation. */
  leftOut: z.string().max(1024).optional(),
});
export type ConnectionsAnswer = z.infer<typeof connectionsAnswer>;

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
