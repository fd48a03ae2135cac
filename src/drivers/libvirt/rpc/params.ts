import { XdrError } from './xdr.ts';
import type { XdrReader, XdrWriter } from './xdr.ts';

/** libvirt's typed parameters: names with a value each, as a migration takes and a job's figures are told. Pure. */
export type Params = Readonly<Record<string, Value>>;
export type Value = string | number | bigint | boolean;

const TYPE = { int: 1, unsigned: 2, hyper: 3, unsignedHyper: 4, double: 5, boolean: 6, string: 7 };
const MOST_PARAMS = 256;
const MOST_NAME = 1024;
const MOST_TEXT = 65_536;

/** A number becomes an `int`, a bigint an `unsigned hyper`. */
export function encodeParams(body: XdrWriter, params: Params): void {
  const all = Object.entries(params);
  body.unsigned(all.length);
  for (const [name, value] of all) {
    body.string(name);
    if (typeof value === 'string') body.int(TYPE.string).string(value);
    else if (typeof value === 'bigint') body.int(TYPE.unsignedHyper).unsignedHyper(value);
    else if (typeof value === 'boolean') body.int(TYPE.boolean).int(value ? 1 : 0);
    else body.int(TYPE.int).int(value);
  }
}

/** Whole numbers become numbers, as far as they are exact. Throws XdrError for a type that libvirt does not have. */
export function decodeParams(answer: XdrReader): Params {
  const all = answer.list(MOST_PARAMS, (): [string, Value] => [
    answer.string(MOST_NAME),
    readValue(answer),
  ]);
  return Object.fromEntries(all);
}

function readValue(answer: XdrReader): Value {
  const type = answer.int();
  switch (type) {
    case TYPE.int:
      return answer.int();
    case TYPE.unsigned:
      return answer.unsigned();
    case TYPE.hyper:
      return Number(answer.hyper());
    case TYPE.unsignedHyper:
      return Number(answer.unsignedHyper());
    case TYPE.double:
      return answer.double();
    case TYPE.boolean:
      return answer.int() !== 0;
    case TYPE.string:
      return answer.string(MOST_TEXT);
    default:
      throw new XdrError(`a parameter of type ${type}`);
  }
}
