import { z } from 'zod';
import type { Volume } from './store.ts';
import { jsonOf } from '../../formats/json.ts';

/** Reports of LVM's programs (`--reportformat json --units b --nosuffix`). Pure; undefined for anything else. */

const MAX_ROWS = 4096;
const TAG = 'godwit=';

const size = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
const name = z.string().min(1).max(128);

const groups = z.object({
  report: z
    .array(
      z.object({
        vg: z.array(z.object({ vg_name: name, vg_extent_size: size, vg_free: size })).max(MAX_ROWS),
      }),
    )
    .max(16),
});

const volumes = z.object({
  report: z
    .array(
      z.object({
        lv: z
          .array(
            z.object({
              lv_name: name,
              lv_size: size,
              lv_tags: z.string().max(65_536),
              lv_layout: z.string().max(1024),
              /** Empty if not applicable. */
              data_percent: z.string().regex(/^(?:\d{1,3}(?:\.\d{1,8})?)?$/),
            }),
          )
          .max(MAX_ROWS),
      }),
    )
    .max(16),
});

export interface LvmGroup {
  readonly name: string;
  readonly extentBytes: number;
  readonly freeBytes: number;
}

export interface LvmVolume extends Volume {
  readonly isThinPool: boolean;
  /** Unused space of a thin pool. */
  readonly freeBytes: number;
}

export const GROUP_COLUMNS = 'vg_name,vg_extent_size,vg_free';
export const VOLUME_COLUMNS = 'lv_name,lv_size,lv_tags,lv_layout,data_percent';

export function parseGroups(text: string): LvmGroup[] | undefined {
  const read = groups.safeParse(jsonOf(text));
  if (!read.success) return undefined;
  const rows = read.data.report.flatMap(({ vg }) => vg);
  if (rows.some((row) => row.vg_extent_size === 0)) return undefined;
  return rows.map((row) => ({
    name: row.vg_name,
    extentBytes: row.vg_extent_size,
    freeBytes: row.vg_free,
  }));
}

export function parseVolumes(text: string): LvmVolume[] | undefined {
  const read = volumes.safeParse(jsonOf(text));
  if (!read.success) return undefined;
  const rows = read.data.report.flatMap(({ lv }) => lv);
  return rows.map((row): LvmVolume => {
    const layout = row.lv_layout.split(',');
    const isThinPool = layout.includes('thin') && layout.includes('pool');
    const taken = Math.ceil((row.lv_size * Number(row.data_percent)) / 100);
    return {
      name: row.lv_name,
      bytes: row.lv_size,
      mark: markAmong(row.lv_tags),
      isThinPool,
      freeBytes: isThinPool ? Math.max(0, row.lv_size - taken) : 0,
    };
  });
}

export function tagOf(migration: string): string {
  return `${TAG}${migration}`;
}

function markAmong(tags: string): string | undefined {
  const own = tags.split(',').filter((tag) => tag.startsWith(TAG) && tag.length > TAG.length);
  // Two migrations never make one volume, so another program wrote these tags.
  return own.length === 1 ? own[0]?.slice(TAG.length) : undefined;
}
