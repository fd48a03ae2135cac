import { godwitError } from '../../errors.ts';
import type { Policy } from '../../protocol/controller/policy.ts';
import { defined } from '../../protocol/defined.ts';
import { printJson } from '../context.ts';
import { namesIn } from './policies.ts';
import type { setSpec } from './policy-specs.ts';
import type { Run } from '../verb.ts';
import { atController } from './at-controller.ts';

export const run: Run<typeof setSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { flags, json } = input;
    const { kind } = input.args;
    const { policies } = await api.policies();
    const params = { kind, scope: flags.group ?? 'fleet' };
    if (flags.remove === true) {
      const answer = await api.removePolicy({ params });
      if (json) return printJson(context, answer);
      context.out.write(`${kind} of ${params.scope}: removed\n`);
      return;
    }
    const before = policies.find((each) => each.kind === kind && each.scope === params.scope);
    const mode = flags.mode ?? before?.mode;
    if (mode === undefined) {
      const what = `there is no ${kind} policy of ${params.scope} yet: a new one needs --mode`;
      throw godwitError('GODWIT_USAGE', { what });
    }
    const hosts = namesIn(flags.hosts) ?? before?.hosts;
    if (flags.level !== undefined && (flags.level < 1 || flags.level > 5)) {
      throw godwitError('GODWIT_USAGE', { what: `--level ${flags.level} is not of 1 to 5` });
    }
    const { level = before?.level, movesPerHour = before?.movesPerHour } = flags;
    const body = {
      ...(before === undefined ? {} : keptOf(before)),
      mode,
      ...defined({ hosts, level, movesPerHour }),
    };
    // Protects a concurrent change of the settings that were read.
    const query = { ifSetAtMs: before?.setAtMs ?? 0 };
    const set = await api.putPolicy({ params, query, body });
    if (json) return printJson(context, set);
    context.out.write(`${kind} of ${set.scope}: ${set.mode}\n`);
  });

const keptOf = ({ bytesPerHour, residenceMs, rejectedMs }: Policy) => ({
  residenceMs,
  rejectedMs,
  ...defined({ bytesPerHour }),
});
