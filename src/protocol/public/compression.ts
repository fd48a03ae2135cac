import { z } from 'zod';

export const compression = z.enum(['none', 'zstd', 'xbzrle']);
export type Compression = z.infer<typeof compression>;

/** zstd's: the higher, the smaller and the slower; absent: 1. QEMU calls it `multifd-zstd-level`. */
export const compressLevel = z.number().int().min(1).max(20).optional();

/** Parallel memory streams; 1 is QEMU's single stream. */
export const streams = z.number().int().min(1).max(16);

/** How a hypervisor sends memory where `auto` chose that too. */
export const chosenStream = z.object({ streams, compress: compression, compressLevel });
export type ChosenStream = z.infer<typeof chosenStream>;
