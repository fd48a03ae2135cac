import { ERRORS, godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { printJson } from '../context.ts';
import { namesIn } from './policies.ts';
import { printable } from '../../words/style.ts';
import type { placeSpec } from './policy-specs.ts';
import type { Run } from '../verb.ts';
import { atController } from './at-controller.ts';

export const run: Run<typeof placeSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { memory, cpus, label = [], on } = input.flags;
    if (memory === undefined || cpus === undefined) {
      throw godwitError('GODWIT_USAGE', { what: 'godwit advise place needs --memory and --cpus' });
    }
    const hosts = namesIn(on);
    const body = {
      memoryBytes: memory,
      vcpus: cpus,
      labels: Object.fromEntries(label.map(pairIn)),
      ...defined({ hosts }),
    };
    const answer = await api.place({ body });
    const { host, words, alternatives } = answer;
    if (input.json) printJson(context, answer);
    else {
      const others = alternatives.length === 0 ? '' : `; also possible: ${alternatives.join(', ')}`;
      context.out.write(`${host ?? 'no host'}: ${printable(words)}${others}\n`);
    }
    return host === undefined ? ERRORS.GODWIT_MEMORY_SHORT.exit : 0;
  });

function pairIn(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw godwitError('GODWIT_USAGE', { what: `--label ${text} is not name=value` });
}
