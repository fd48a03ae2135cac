import { printJson } from '../context.ts';
import type { undrainSpec } from './specs.ts';
import type { Run } from '../verb.ts';
import { atController } from './at-controller.ts';

export const run: Run<typeof undrainSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { host } = input.args;
    const answer = await api.undrain({ params: { host } });
    if (input.json) printJson(context, answer);
    else context.out.write(`${host}: guests may come to it again\n`);
  });
