import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import type { z } from 'zod';
import { godwitError, type GodwitError } from '../../errors.ts';
import { whatIsWrong } from '../../protocol/errors.ts';
import { moverRequest, type MoverRequest } from '../../protocol/mover/request.ts';
import { writeWhole } from '../../system/files/whole-file.ts';

/**
 * `request.json` of a migration or `plan.json` of a disk move: the object as JSON, then its CRC-32 in the field `sum`.
 * Earlier builds write no checksum and ignore this one. A request without a checksum is accepted.
 */
const SUM = /^,"sum":"([0-9a-f]{8})"\}\n?$/;
/** `,"sum":"89abcdef"}` and the end of the line. */
const SUM_CHARACTERS = 19;

export function requestFile(dir: string): string {
  return path.join(dir, 'request.json');
}

export function writeRequest(dir: string, request: MoverRequest): void {
  writeSummed(requestFile(dir), request);
}

/** GODWIT_REQUEST_DAMAGED if it is damaged or of a newer build. */
export function readRequest(dir: string): MoverRequest | undefined {
  return readSummed(requestFile(dir), moverRequest);
}

/** Atomic and synced. */
export function writeSummed(file: string, given: object): void {
  const body = JSON.stringify(given).slice(0, -1);
  writeWhole(file, `${body},"sum":"${sumOf(body)}"}\n`);
}

/**
 * Undefined without the file. GODWIT_REQUEST_DAMAGED if it is damaged, of a newer build, or has another id than its
 * directory.
 */
export function readSummed<T extends { readonly id: string }>(
  file: string,
  schema: z.ZodType<T>,
): T | undefined {
  if (!existsSync(file)) return undefined;
  const text = readText(file);
  const end = text.slice(-SUM_CHARACTERS);
  const sum = SUM.exec(end)?.[1];
  if (sum !== undefined && sumOf(text.slice(0, -SUM_CHARACTERS)) !== sum) {
    throw damaged(file, 'its checksum does not match its content');
  }
  const parsed = schema.safeParse(jsonIn(file, text));
  if (!parsed.success) throw damaged(file, whatIsWrong(parsed.error));
  if (parsed.data.id === path.basename(path.dirname(file))) return parsed.data;
  throw damaged(file, `it is the request of ${parsed.data.id}`);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    throw damaged(file, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function jsonIn(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(file, 'it is not JSON');
  }
}

function sumOf(body: string): string {
  return crc32(body).toString(16).padStart(8, '0');
}

export function damaged(file: string, saw: string): GodwitError {
  return godwitError('GODWIT_REQUEST_DAMAGED', { file, saw });
}
