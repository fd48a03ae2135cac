import { z } from 'zod';

/**
 * Native transport of memory: TCP with TLS; zero-copy, in which the kernel sends the guest's own pages; or RDMA. The
 * last two are unencrypted.
 */
export const transport = z.enum(['tcp', 'zero-copy', 'rdma']);
export type Transport = z.infer<typeof transport>;
