import { FakeContext, godwit } from './fake.ts';

/** `godwit` that asks a controller by its socket. */
export function askingOf(
  { socket }: { readonly socket: string },
  change: Partial<FakeContext> = {},
) {
  return async (line: string) => {
    const context = Object.assign(new FakeContext(), change);
    context.env['GODWIT_CONTROLLER'] = socket;
    const exit = await godwit(context, line);
    return { exit, out: context.out.text, err: context.err.text };
  };
}
