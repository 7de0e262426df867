/**
 * Node's HTTP without the WebSocket client that comes with it: an `import` of `node:http` reads every name that the module
 * exports, and one of them loads undici, which costs each start 25 ms of processor time (Node 24.21).
 */
export const { Agent, createServer, get, request } = process.getBuiltinModule('node:http');
