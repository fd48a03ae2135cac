import { z } from 'zod';

/**
 * How hypervisors carry memory where it goes from one to the other: over TCP with TLS; by the kernel from the guest's own
 * pages, which it does not copy first; or from memory to memory by RDMA. The last two do not encrypt it.
 */
export const transport = z.enum(['tcp', 'zero-copy', 'rdma']);
export type Transport = z.infer<typeof transport>;
