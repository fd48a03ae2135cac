import { XdrError, type XdrReader, type XdrWriter } from '../../../formats/xdr.ts';

/** libvirt's typed parameters: names with values, for migrations and job figures. Pure. */
export type Params = Readonly<Record<string, Value>>;
export type Value = string | number | bigint | boolean;
/** Outgoing form: a list repeats the name for each value. */
export type SentParams = Readonly<Record<string, Value | readonly string[]>>;

const TYPE = { int: 1, unsigned: 2, hyper: 3, unsignedHyper: 4, double: 5, boolean: 6, string: 7 };
const MAX_PARAMS = 256;
const MAX_NAME = 1024;
const MAX_TEXT = 65_536;

/** A number is sent as `int`, a bigint as `unsigned hyper`. */
export function encodeParams(body: XdrWriter, params: SentParams): void {
  const all = Object.entries(params).flatMap(([name, value]) =>
    (typeof value === 'object' ? value : [value]).map((each): [string, Value] => [name, each]),
  );
  body.uint32(all.length);
  for (const [name, value] of all) {
    body.string(name);
    if (typeof value === 'string') body.int32(TYPE.string).string(value);
    else if (typeof value === 'bigint') body.int32(TYPE.unsignedHyper).uint64(value);
    else if (typeof value === 'boolean') body.int32(TYPE.boolean).int32(value ? 1 : 0);
    else body.int32(TYPE.int).int32(value);
  }
}

/** Integers become numbers as far as they are exact. Throws XdrError for an unknown type. */
export function decodeParams(answer: XdrReader): Params {
  const all = answer.list(MAX_PARAMS, (): [string, Value] => [
    answer.string(MAX_NAME),
    readValue(answer),
  ]);
  return Object.fromEntries(all);
}

function readValue(answer: XdrReader): Value {
  const type = answer.int32();
  switch (type) {
    case TYPE.int:
      return answer.int32();
    case TYPE.unsigned:
      return answer.uint32();
    case TYPE.hyper:
      return Number(answer.int64());
    case TYPE.unsignedHyper:
      return Number(answer.bigUint64());
    case TYPE.double:
      return answer.double();
    case TYPE.boolean:
      return answer.int32() !== 0;
    case TYPE.string:
      return answer.string(MAX_TEXT);
    default:
      throw new XdrError(`a parameter of type ${type}`);
  }
}
