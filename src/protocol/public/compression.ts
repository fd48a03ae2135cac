import { z } from 'zod';

export const compression = z.enum(['none', 'zstd', 'xbzrle']);
export type Compression = z.infer<typeof compression>;

/** zstd level: higher is smaller and slower; absent: 1. QEMU's `multifd-zstd-level`. */
export const compressLevel = z.number().int().min(1).max(20).optional();

/** Parallel memory streams; 1 is QEMU's single stream. */
export const streams = z.number().int().min(1).max(16);

export const chosenStream = z.object({ streams, compress: compression, compressLevel });
export type ChosenStream = z.infer<typeof chosenStream>;
