import { z } from 'zod';

export const tracesConfig = z.strictObject({
  /** Full URL of an OTLP receiver over HTTP, such as http://127.0.0.1:4318/v1/traces. */
  url: z.string().max(512).refine(isClosed, {
    error: 'neither https://... nor http:// of this host: no byte leaves it without TLS',
  }),
  /** PEM of the receiver's CA. Default: Node's CAs. */
  caFile: z.string().min(1).max(4096).optional(),
});
export type TracesConfig = z.infer<typeof tracesConfig>;

function isClosed(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, hash } = new URL(text);
  if (username !== '' || password !== '' || hash !== '') return false;
  if (protocol === 'https:') return true;
  return protocol === 'http:' && /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(hostname);
}
