import type { FastifyRequest } from 'fastify';

export interface User {
  id: number;
  shopId: number;
  role: 'staff' | 'admin';
}

declare module 'fastify' {
  interface FastifyRequest {
    user?: User;
  }
}

/** The user of a request; throws 401 where nobody is signed in. */
export function signedIn(request: FastifyRequest): User {
  if (!request.user) throw Object.assign(new Error('sign in first'), { statusCode: 401 });
  return request.user;
}
