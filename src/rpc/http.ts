/**
 * Node's http, got without an `import`: that would read each export there is, and one of them (WebSocket) loads a
 * whole HTTP client that nothing here uses. It would cost every process 16 MB and a fifth of its time to start.
 */
export const http = process.getBuiltinModule('node:http');
