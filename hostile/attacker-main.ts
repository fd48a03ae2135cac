/** Runs on the host whose certificate is misused: does the cases that it is given, a line of JSON for each. */
import { createInterface } from 'node:readline';
import { readCredentials } from '../src/rpc/tls.ts';
import { Answerer } from './answerer.ts';
import { Attacker } from './attacker.ts';
import type { Case } from './cases/case.ts';
import type { Facts } from './facts.ts';
import { jsonLine } from '../src/formats/json.ts';

export type Order =
  | { readonly number: number }
  /** One that was made before, with something of it left out. */
  | { readonly play: Case }
  | { readonly end: true };

interface ProcessInput {
  readonly facts: Facts;
  readonly seed: number;
}

const { facts, seed } = JSON.parse(process.argv[2] ?? '') as ProcessInput;
const attacker = new Attacker(facts, seed);
const answerer = await Answerer.open(facts, seed, readCredentials(facts.pkiDir));
const say = (what: unknown): void => {
  process.stdout.write(jsonLine(what));
};
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order;
  if ('end' in order) break;
  say('play' in order ? await attacker.play(order.play) : await attacker.try(order.number));
}
await attacker.close();
answerer.close();
process.exit(0);
