/**
 * The fields of the API objects that the data plane reads, in the shape of their JSON. A field that the API server may
 * leave out or send as null says so; contents are not trusted (see `parseService`, `parseEndpointSlice`).
 */
type Maybe<T> = T | null | undefined;

export interface ObjectMeta {
  readonly name?: Maybe<string>;
  readonly namespace?: Maybe<string>;
  readonly uid?: Maybe<string>;
  readonly resourceVersion?: Maybe<string>;
  readonly creationTimestamp?: Maybe<string>;
  readonly labels?: Maybe<Readonly<Record<string, string>>>;
  readonly annotations?: Maybe<Readonly<Record<string, string>>>;
}

export interface ServicePortJson {
  readonly name?: Maybe<string>;
  readonly protocol?: Maybe<string>;
  readonly port?: Maybe<number>;
  readonly nodePort?: Maybe<number>;
}

export interface LoadBalancerIngress {
  readonly ip?: Maybe<string>;
  readonly hostname?: Maybe<string>;
  readonly ipMode?: Maybe<string>;
}

export interface Service {
  readonly metadata?: Maybe<ObjectMeta>;
  readonly spec?: Maybe<{
    readonly type?: Maybe<string>;
    readonly clusterIP?: Maybe<string>;
    readonly clusterIPs?: Maybe<readonly string[]>;
    readonly ports?: Maybe<readonly ServicePortJson[]>;
    readonly externalIPs?: Maybe<readonly string[]>;
    readonly loadBalancerSourceRanges?: Maybe<readonly string[]>;
    readonly internalTrafficPolicy?: Maybe<string>;
    readonly externalTrafficPolicy?: Maybe<string>;
    readonly sessionAffinity?: Maybe<string>;
    readonly sessionAffinityConfig?: Maybe<{ readonly clientIP?: Maybe<{ readonly timeoutSeconds?: Maybe<number> }> }>;
    readonly healthCheckNodePort?: Maybe<number>;
  }>;
  readonly status?: Maybe<{
    readonly loadBalancer?: Maybe<{ readonly ingress?: Maybe<readonly LoadBalancerIngress[]> }>;
  }>;
}

export interface EndpointHints {
  readonly forNodes?: Maybe<readonly { readonly name?: Maybe<string> }[]>;
  readonly forZones?: Maybe<readonly { readonly name?: Maybe<string> }[]>;
}

export interface EndpointJson {
  readonly addresses?: Maybe<readonly string[]>;
  readonly nodeName?: Maybe<string>;
  readonly conditions?: Maybe<{
    readonly ready?: Maybe<boolean>;
    readonly serving?: Maybe<boolean>;
    readonly terminating?: Maybe<boolean>;
  }>;
  readonly hints?: Maybe<EndpointHints>;
}

export interface EndpointPortJson {
  readonly name?: Maybe<string>;
  readonly protocol?: Maybe<string>;
  readonly port?: Maybe<number>;
}

export interface EndpointSlice {
  readonly metadata?: Maybe<ObjectMeta>;
  readonly addressType?: Maybe<string>;
  readonly endpoints?: Maybe<readonly EndpointJson[]>;
  readonly ports?: Maybe<readonly EndpointPortJson[]>;
}

export interface Node {
  readonly metadata?: Maybe<ObjectMeta>;
  readonly status?: Maybe<{
    readonly addresses?: Maybe<readonly { readonly type?: Maybe<string>; readonly address?: Maybe<string> }[]>;
  }>;
}

/** Set: the Service is handled by another proxy and invisible to us. */
export const LABEL_SERVICE_PROXY_NAME = 'service.kubernetes.io/service-proxy-name';
/** Set: the EndpointSlice belongs to a headless Service. */
export const LABEL_HEADLESS = 'service.kubernetes.io/headless';
/** On an EndpointSlice: the name of its Service. */
export const LABEL_SERVICE_NAME = 'kubernetes.io/service-name';
export const LABEL_ZONE = 'topology.kubernetes.io/zone';
/** On an EndpointSlice: when the Pod or Service changed that made the slice change, RFC 3339. */
export const ANNOTATION_TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';
