import { PRODUCT_VERSION, PROTOCOL_VERSIONS } from '../../protocol/version.ts';
import { printJson } from '../context.ts';
import type { versionSpec } from './specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof versionSpec> = async (input, context) => {
  const version = {
    godwit: PRODUCT_VERSION,
    protocol: [...PROTOCOL_VERSIONS],
    node: process.versions.node,
  };
  if (input.json) printJson(context, version);
  else {
    context.out.write(
      `godwit ${version.godwit} (protocol ${version.protocol.join(', ')}, Node ${version.node})\n`,
    );
  }
};
