import protobuf from 'protobufjs';

/**
 * The messages of k8s.io/api and apimachinery that kubectl sends for objects it builds itself (`create namespace`,
 * `auth can-i`). Fields that only a server sets are left out: a decoder skips what it does not know.
 * `deprecated` marks, for want of an option of our own, pointers: Go leaves them away when unset, so that false and 0 mean something in them.
 */
const MESSAGES = `
  syntax = "proto2";
  message Unknown { optional TypeMeta typeMeta = 1; optional bytes raw = 2; }
  message TypeMeta { optional string apiVersion = 1; optional string kind = 2; }

  message ObjectMeta {
    optional string name = 1; optional string generateName = 2; optional string namespace = 3; optional string uid = 5;
    optional string resourceVersion = 6; map<string, string> labels = 11; map<string, string> annotations = 12;
    repeated OwnerReference ownerReferences = 13; repeated string finalizers = 14;
  }
  message OwnerReference {
    optional string kind = 1; optional string name = 3; optional string uid = 4; optional string apiVersion = 5;
    optional bool controller = 6 [deprecated = true]; optional bool blockOwnerDeletion = 7 [deprecated = true];
  }
  message IntOrString { optional int64 type = 1; optional int32 intVal = 2; optional string strVal = 3; }
  message ObjectReference {
    optional string kind = 1; optional string namespace = 2; optional string name = 3; optional string uid = 4;
    optional string apiVersion = 5; optional string resourceVersion = 6; optional string fieldPath = 7;
  }
  message LocalObjectReference { optional string name = 1; }

  message Namespace { optional ObjectMeta metadata = 1; }
  message ConfigMap {
    optional ObjectMeta metadata = 1; map<string, string> data = 2; map<string, bytes> binaryData = 3;
    optional bool immutable = 4 [deprecated = true];
  }
  message Secret {
    optional ObjectMeta metadata = 1; map<string, bytes> data = 2; optional string type = 3;
    map<string, string> stringData = 4; optional bool immutable = 5 [deprecated = true];
  }
  message ServiceAccount {
    optional ObjectMeta metadata = 1; repeated ObjectReference secrets = 2;
    repeated LocalObjectReference imagePullSecrets = 3;
    optional bool automountServiceAccountToken = 4 [deprecated = true];
  }
  message Service { optional ObjectMeta metadata = 1; optional ServiceSpec spec = 2; }
  message ServiceSpec {
    repeated ServicePort ports = 1; map<string, string> selector = 2; optional string clusterIP = 3;
    optional string type = 4; repeated string externalIPs = 5; optional string sessionAffinity = 7;
    optional string loadBalancerIP = 8; repeated string loadBalancerSourceRanges = 9; optional string externalName = 10;
    optional string externalTrafficPolicy = 11; optional int32 healthCheckNodePort = 12;
    optional bool publishNotReadyAddresses = 13; optional SessionAffinityConfig sessionAffinityConfig = 14;
    optional string ipFamilyPolicy = 17; repeated string clusterIPs = 18; repeated string ipFamilies = 19;
    optional bool allocateLoadBalancerNodePorts = 20 [deprecated = true]; optional string loadBalancerClass = 21;
    optional string internalTrafficPolicy = 22; optional string trafficDistribution = 23;
  }
  message ServicePort {
    optional string name = 1; optional string protocol = 2; optional int32 port = 3;
    optional IntOrString targetPort = 4; optional int32 nodePort = 5; optional string appProtocol = 6;
  }
  message SessionAffinityConfig { optional ClientIPConfig clientIP = 1; }
  message ClientIPConfig { optional int32 timeoutSeconds = 1 [deprecated = true]; }

  message Role { optional ObjectMeta metadata = 1; repeated PolicyRule rules = 2; }
  message ClusterRole {
    optional ObjectMeta metadata = 1; repeated PolicyRule rules = 2; optional AggregationRule aggregationRule = 3;
  }
  message PolicyRule {
    repeated string verbs = 1; repeated string apiGroups = 2; repeated string resources = 3;
    repeated string resourceNames = 4; repeated string nonResourceURLs = 5;
  }
  message AggregationRule { repeated LabelSelector clusterRoleSelectors = 1; }
  message LabelSelector {
    map<string, string> matchLabels = 1; repeated LabelSelectorRequirement matchExpressions = 2;
  }
  message LabelSelectorRequirement {
    optional string key = 1; optional string operator = 2; repeated string values = 3;
  }
  message RoleBinding {
    optional ObjectMeta metadata = 1; repeated Subject subjects = 2; optional RoleRef roleRef = 3;
  }
  message ClusterRoleBinding {
    optional ObjectMeta metadata = 1; repeated Subject subjects = 2; optional RoleRef roleRef = 3;
  }
  message Subject {
    optional string kind = 1; optional string apiGroup = 2; optional string name = 3; optional string namespace = 4;
  }
  message RoleRef { optional string apiGroup = 1; optional string kind = 2; optional string name = 3; }

  message SelfSubjectReview { optional ObjectMeta metadata = 1; }
  message SelfSubjectAccessReview { optional ObjectMeta metadata = 1; optional SelfSubjectAccessReviewSpec spec = 2; }
  message SelfSubjectAccessReviewSpec {
    optional ResourceAttributes resourceAttributes = 1; optional NonResourceAttributes nonResourceAttributes = 2;
  }
  message ResourceAttributes {
    optional string namespace = 1; optional string verb = 2; optional string group = 3; optional string version = 4;
    optional string resource = 5; optional string subresource = 6; optional string name = 7;
  }
  message NonResourceAttributes { optional string path = 1; optional string verb = 2; }
  message SelfSubjectRulesReview { optional ObjectMeta metadata = 1; optional SelfSubjectRulesReviewSpec spec = 2; }
  message SelfSubjectRulesReviewSpec { optional string namespace = 1; }

  message DeleteOptions {
    optional int64 gracePeriodSeconds = 1 [deprecated = true]; optional Preconditions preconditions = 2;
    optional bool orphanDependents = 3 [deprecated = true]; optional string propagationPolicy = 4;
    repeated string dryRun = 5;
  }
  message Preconditions { optional string uid = 1; optional string resourceVersion = 2; }
`;

export const { root: MESSAGE_TYPES } = protobuf.parse(MESSAGES, { keepCase: true });
