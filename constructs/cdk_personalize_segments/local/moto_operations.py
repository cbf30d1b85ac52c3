"""Which operations are left to moto, each with the members of its input that count.

A member is named here if it has an effect or is read back. moto takes all others
without a word, so that `api` refuses requests that have them.
"""

from collections.abc import Mapping
from typing import Final

Operations = Mapping[str, frozenset[str]]


def _operations(text: str) -> Operations:
    """Read lines like `Name: Member Member`, of which some are continued."""
    operations: dict[str, set[str]] = {}
    for word in text.split():
        if word.endswith(":"):
            members = operations[word[:-1]] = set()
        else:
            members.add(word)
    return {name: frozenset(found) for name, found in operations.items()}


CLOUDWATCH: Final = _operations("""
    DeleteDashboards: DashboardNames
    GetDashboard: DashboardName
    ListDashboards: DashboardNamePrefix
    ListTagsForResource: ResourceARN
    PutDashboard: DashboardBody DashboardName
    TagResource: ResourceARN Tags
    UntagResource: ResourceARN TagKeys
""")

ECR: Final = _operations("""
    CreateRepository: encryptionConfiguration imageScanningConfiguration
        imageTagMutability repositoryName tags
    DeleteLifecyclePolicy: repositoryName
    DeleteRepository: force repositoryName
    DeleteRepositoryPolicy: repositoryName
    DescribeRepositories: repositoryNames
    GetLifecyclePolicy: repositoryName
    GetRepositoryPolicy: repositoryName
    PutImageTagMutability: imageTagMutability repositoryName
    PutLifecyclePolicy: lifecyclePolicyText repositoryName
    SetRepositoryPolicy: policyText repositoryName
""")

EVENTS: Final = _operations("""
    CreateEventBus: Name Tags
    DeleteEventBus: Name
    DeleteRule: EventBusName Name
    DescribeEventBus: Name
    DescribeRule: EventBusName Name
    DisableRule: EventBusName Name
    EnableRule: EventBusName Name
    ListEventBuses: NamePrefix
    ListRules: EventBusName Limit NamePrefix NextToken
    ListTagsForResource: ResourceARN
    ListTargetsByRule: EventBusName Limit NextToken Rule
    PutRule: Description EventBusName EventPattern Name ScheduleExpression State Tags
    PutTargets: EventBusName Rule Targets
    RemoveTargets: EventBusName Ids Rule
    TagResource: ResourceARN Tags
    UntagResource: ResourceARN TagKeys
""")

GLUE: Final = _operations("""
    BatchCreatePartition: DatabaseName PartitionInputList TableName
    BatchGetPartition: DatabaseName PartitionsToGet TableName
    CreateDatabase: DatabaseInput Tags
    CreatePartition: DatabaseName PartitionInput TableName
    CreateTable: DatabaseName TableInput
    DeleteDatabase: Name
    DeletePartition: DatabaseName PartitionValues TableName
    DeleteTable: DatabaseName Name
    GetDatabase: Name
    GetDatabases:
    GetPartition: DatabaseName PartitionValues TableName
    GetPartitions: DatabaseName Expression TableName
    GetTable: DatabaseName Name
    GetTables: DatabaseName Expression
    UpdateDatabase: DatabaseInput Name
    UpdatePartition: DatabaseName PartitionInput PartitionValueList TableName
    UpdateTable: DatabaseName TableInput
""")

IAM: Final = _operations("""
    AttachRolePolicy: PolicyArn RoleName
    CreatePolicy: Description Path PolicyDocument PolicyName Tags
    CreatePolicyVersion: PolicyArn PolicyDocument SetAsDefault
    CreateRole: AssumeRolePolicyDocument Description MaxSessionDuration Path
        PermissionsBoundary RoleName Tags
    DeletePolicy: PolicyArn
    DeletePolicyVersion: PolicyArn VersionId
    DeleteRole: RoleName
    DeleteRolePermissionsBoundary: RoleName
    DeleteRolePolicy: PolicyName RoleName
    DetachRolePolicy: PolicyArn RoleName
    GetPolicy: PolicyArn
    GetPolicyVersion: PolicyArn VersionId
    GetRole: RoleName
    GetRolePolicy: PolicyName RoleName
    ListAttachedRolePolicies: Marker MaxItems PathPrefix RoleName
    ListEntitiesForPolicy: EntityFilter PolicyArn
    ListPolicies: Marker MaxItems OnlyAttached PathPrefix Scope
    ListPolicyVersions: PolicyArn
    ListRolePolicies: RoleName
    ListRoleTags: Marker MaxItems RoleName
    ListRoles: Marker MaxItems PathPrefix
    PutRolePermissionsBoundary: PermissionsBoundary RoleName
    PutRolePolicy: PolicyDocument PolicyName RoleName
    TagRole: RoleName Tags
    UntagRole: RoleName TagKeys
    UpdateAssumeRolePolicy: PolicyDocument RoleName
    UpdateRole: Description MaxSessionDuration RoleName
    UpdateRoleDescription: Description RoleName
""")

KMS: Final = _operations("""
    CreateAlias: AliasName TargetKeyId
    CreateKey: CustomerMasterKeySpec Description KeySpec KeyUsage Policy Tags
    DeleteAlias: AliasName
    DescribeKey: KeyId
    DisableKey: KeyId
    DisableKeyRotation: KeyId
    EnableKey: KeyId
    GetKeyPolicy: KeyId PolicyName
    ListAliases: KeyId
    ListKeys:
    ListResourceTags: KeyId
    PutKeyPolicy: KeyId Policy PolicyName
    ScheduleKeyDeletion: KeyId PendingWindowInDays
    TagResource: KeyId Tags
    UntagResource: KeyId TagKeys
    UpdateAlias: AliasName TargetKeyId
    UpdateKeyDescription: Description KeyId
""")

LAMBDA: Final = _operations("""
    AddPermission: Action FunctionName Principal SourceAccount SourceArn StatementId
    CreateAlias: Description FunctionName FunctionVersion Name
    CreateEventSourceMapping: BatchSize Enabled EventSourceArn FunctionName
        FunctionResponseTypes MaximumBatchingWindowInSeconds ScalingConfig
    CreateFunction: Architectures Code Description Environment EphemeralStorage
        FunctionName Handler LoggingConfig MemorySize PackageType Publish Role Runtime
        Tags Timeout TracingConfig
    DeleteAlias: FunctionName Name
    DeleteEventSourceMapping: UUID
    DeleteFunction: FunctionName Qualifier
    GetAlias: FunctionName Name
    GetEventSourceMapping: UUID
    GetFunction: FunctionName Qualifier
    GetFunctionConfiguration: FunctionName Qualifier
    GetPolicy: FunctionName
    ListAliases: FunctionName
    ListEventSourceMappings: EventSourceArn FunctionName
    ListFunctions: FunctionVersion
    ListTags: Resource
    ListVersionsByFunction: FunctionName
    PublishVersion: Description FunctionName
    RemovePermission: FunctionName StatementId
    TagResource: Resource Tags
    UntagResource: Resource TagKeys
    UpdateAlias: Description FunctionName FunctionVersion Name
    UpdateEventSourceMapping: BatchSize Enabled FunctionName FunctionResponseTypes
        MaximumBatchingWindowInSeconds ScalingConfig UUID
    UpdateFunctionCode: Architectures FunctionName Publish S3Bucket S3Key
        S3ObjectVersion ZipFile
    UpdateFunctionConfiguration: Description Environment EphemeralStorage FunctionName
        Handler LoggingConfig MemorySize Role Runtime Timeout TracingConfig
""")

# Services ignore a sequenceToken, too.
LOGS: Final = _operations("""
    CreateLogStream: logGroupName logStreamName
    DeleteMetricFilter: filterName logGroupName
    DeleteRetentionPolicy: logGroupName
    DescribeLogStreams: descending limit logGroupName logStreamNamePrefix nextToken
        orderBy
    DescribeMetricFilters: filterNamePrefix logGroupName metricName metricNamespace
    FilterLogEvents: endTime filterPattern interleaved limit logGroupName
        logStreamNames nextToken startTime
    GetLogEvents: endTime limit logGroupName logStreamName nextToken startFromHead
        startTime
    ListTagsForResource: resourceArn
    PutLogEvents: logEvents logGroupName logStreamName sequenceToken
    PutMetricFilter: filterName filterPattern logGroupName metricTransformations
    PutRetentionPolicy: logGroupName retentionInDays
    TagResource: resourceArn tags
    UntagResource: resourceArn tagKeys
""")

# `s3_requests` looks at digests and expected owners. SDKs send ChecksumAlgorithm and
# ChecksumMode by themselves.
S3: Final = _operations("""
    AbortMultipartUpload: Bucket ExpectedBucketOwner Key UploadId
    CompleteMultipartUpload: Bucket ExpectedBucketOwner IfNoneMatch Key MultipartUpload
        UploadId
    CopyObject: ACL Bucket CacheControl ChecksumAlgorithm ContentDisposition
        ContentEncoding ContentLanguage ContentType CopySource ExpectedBucketOwner
        ExpectedSourceBucketOwner Key Metadata MetadataDirective ServerSideEncryption
        StorageClass Tagging TaggingDirective
    CreateBucket: ACL Bucket CreateBucketConfiguration ObjectOwnership
    CreateMultipartUpload: ACL Bucket CacheControl ChecksumAlgorithm ContentDisposition
        ContentEncoding ContentLanguage ContentType ExpectedBucketOwner Key Metadata
        ServerSideEncryption StorageClass Tagging
    DeleteBucket: Bucket ExpectedBucketOwner
    DeleteBucketCors: Bucket ExpectedBucketOwner
    DeleteBucketEncryption: Bucket ExpectedBucketOwner
    DeleteBucketLifecycle: Bucket ExpectedBucketOwner
    DeleteBucketOwnershipControls: Bucket ExpectedBucketOwner
    DeleteBucketPolicy: Bucket ExpectedBucketOwner
    DeleteBucketTagging: Bucket ExpectedBucketOwner
    DeleteObject: Bucket ExpectedBucketOwner IfMatch Key VersionId
    DeleteObjectTagging: Bucket ExpectedBucketOwner Key VersionId
    DeleteObjects: Bucket ChecksumAlgorithm Delete ExpectedBucketOwner
    DeletePublicAccessBlock: Bucket ExpectedBucketOwner
    GetBucketAcl: Bucket ExpectedBucketOwner
    GetBucketCors: Bucket ExpectedBucketOwner
    GetBucketEncryption: Bucket ExpectedBucketOwner
    GetBucketLifecycleConfiguration: Bucket ExpectedBucketOwner
    GetBucketLocation: Bucket ExpectedBucketOwner
    GetBucketNotificationConfiguration: Bucket ExpectedBucketOwner
    GetBucketOwnershipControls: Bucket ExpectedBucketOwner
    GetBucketPolicy: Bucket ExpectedBucketOwner
    GetBucketTagging: Bucket ExpectedBucketOwner
    GetBucketVersioning: Bucket ExpectedBucketOwner
    GetObject: Bucket ChecksumMode ExpectedBucketOwner IfMatch IfModifiedSince
        IfNoneMatch IfUnmodifiedSince Key Range VersionId
    GetObjectTagging: Bucket ExpectedBucketOwner Key VersionId
    GetPublicAccessBlock: Bucket ExpectedBucketOwner
    HeadBucket: Bucket ExpectedBucketOwner
    HeadObject: Bucket ChecksumMode ExpectedBucketOwner IfMatch IfModifiedSince
        IfNoneMatch IfUnmodifiedSince Key VersionId
    ListBuckets: BucketRegion Prefix
    ListMultipartUploads: Bucket ExpectedBucketOwner Prefix
    ListObjectVersions: Bucket Delimiter EncodingType ExpectedBucketOwner KeyMarker
        MaxKeys Prefix VersionIdMarker
    ListObjects: Bucket Delimiter EncodingType ExpectedBucketOwner Marker MaxKeys Prefix
    ListObjectsV2: Bucket ContinuationToken Delimiter EncodingType ExpectedBucketOwner
        FetchOwner MaxKeys Prefix StartAfter
    ListParts: Bucket ExpectedBucketOwner Key MaxParts PartNumberMarker UploadId
    PutBucketAcl: ACL Bucket ChecksumAlgorithm ContentMD5 ExpectedBucketOwner
    PutBucketCors: Bucket CORSConfiguration ChecksumAlgorithm ContentMD5
        ExpectedBucketOwner
    PutBucketEncryption: Bucket ChecksumAlgorithm ContentMD5 ExpectedBucketOwner
        ServerSideEncryptionConfiguration
    PutBucketLifecycleConfiguration: Bucket ChecksumAlgorithm ExpectedBucketOwner
        LifecycleConfiguration
    PutBucketNotificationConfiguration: Bucket ExpectedBucketOwner
        NotificationConfiguration
    PutBucketOwnershipControls: Bucket ChecksumAlgorithm ContentMD5 ExpectedBucketOwner
        OwnershipControls
    PutBucketPolicy: Bucket ChecksumAlgorithm ContentMD5 ExpectedBucketOwner Policy
    PutBucketTagging: Bucket ChecksumAlgorithm ContentMD5 ExpectedBucketOwner Tagging
    PutBucketVersioning: Bucket ChecksumAlgorithm ContentMD5 ExpectedBucketOwner
        VersioningConfiguration
    PutObject: ACL Body Bucket CacheControl ChecksumAlgorithm ChecksumCRC32 ChecksumSHA1
        ChecksumSHA256 ContentDisposition ContentEncoding ContentLanguage ContentLength
        ContentMD5 ContentType ExpectedBucketOwner Expires IfMatch IfNoneMatch Key
        Metadata ServerSideEncryption StorageClass Tagging
    PutObjectTagging: Bucket ChecksumAlgorithm ContentMD5 ExpectedBucketOwner Key
        Tagging VersionId
    PutPublicAccessBlock: Bucket ChecksumAlgorithm ContentMD5 ExpectedBucketOwner
        PublicAccessBlockConfiguration
    UploadPart: Body Bucket ChecksumAlgorithm ChecksumCRC32 ChecksumSHA1 ChecksumSHA256
        ContentLength ContentMD5 ExpectedBucketOwner Key PartNumber UploadId
""")

SCHEDULER: Final = _operations("""
    CreateSchedule: ActionAfterCompletion ClientToken Description EndDate
        FlexibleTimeWindow GroupName Name ScheduleExpression
        ScheduleExpressionTimezone StartDate State Target
    CreateScheduleGroup: ClientToken Name Tags
    DeleteSchedule: ClientToken GroupName Name
    DeleteScheduleGroup: ClientToken Name
    GetSchedule: GroupName Name
    GetScheduleGroup: Name
    ListScheduleGroups:
    ListSchedules: GroupName State
    ListTagsForResource: ResourceArn
    TagResource: ResourceArn Tags
    UntagResource: ResourceArn TagKeys
    UpdateSchedule: ActionAfterCompletion ClientToken Description EndDate
        FlexibleTimeWindow GroupName Name ScheduleExpression
        ScheduleExpressionTimezone StartDate State Target
""")

SNS: Final = _operations("""
    CreateTopic: Attributes Name Tags
    DeleteTopic: TopicArn
    GetSubscriptionAttributes: SubscriptionArn
    GetTopicAttributes: TopicArn
    ListSubscriptions: NextToken
    ListSubscriptionsByTopic: NextToken TopicArn
    ListTagsForResource: ResourceArn
    ListTopics: NextToken
    SetSubscriptionAttributes: AttributeName AttributeValue SubscriptionArn
    SetTopicAttributes: AttributeName AttributeValue TopicArn
    Subscribe: Attributes Endpoint Protocol ReturnSubscriptionArn TopicArn
    TagResource: ResourceArn Tags
    Unsubscribe: SubscriptionArn
    UntagResource: ResourceArn TagKeys
""")

SQS: Final = _operations("""
    ChangeMessageVisibility: QueueUrl ReceiptHandle VisibilityTimeout
    ChangeMessageVisibilityBatch: Entries QueueUrl
    CreateQueue: Attributes QueueName tags
    DeleteMessage: QueueUrl ReceiptHandle
    DeleteMessageBatch: Entries QueueUrl
    DeleteQueue: QueueUrl
    GetQueueAttributes: AttributeNames QueueUrl
    GetQueueUrl: QueueName
    ListDeadLetterSourceQueues: QueueUrl
    ListQueueTags: QueueUrl
    ListQueues: QueueNamePrefix
    PurgeQueue: QueueUrl
    ReceiveMessage: AttributeNames MaxNumberOfMessages MessageAttributeNames
        MessageSystemAttributeNames QueueUrl VisibilityTimeout WaitTimeSeconds
    SendMessage: DelaySeconds MessageAttributes MessageBody QueueUrl
    SendMessageBatch: Entries QueueUrl
    SetQueueAttributes: Attributes QueueUrl
    TagQueue: QueueUrl Tags
    UntagQueue: QueueUrl TagKeys
""")

SSM: Final = _operations("""
    AddTagsToResource: ResourceId ResourceType Tags
    DeleteParameter: Name
    DescribeParameters: NextToken ParameterFilters
    GetParameter: Name WithDecryption
    ListTagsForResource: ResourceId ResourceType
    PutParameter: AllowedPattern DataType Description Name Overwrite Tags Tier Type
        Value
    RemoveTagsFromResource: ResourceId ResourceType TagKeys
""")

STEPFUNCTIONS: Final = _operations("""
    DeleteStateMachine: stateMachineArn
    ListStateMachines: maxResults nextToken
    ListTagsForResource: resourceArn
    TagResource: resourceArn tags
    UntagResource: resourceArn tagKeys
""")

STS: Final = _operations("""
    AssumeRole: DurationSeconds ExternalId RoleArn RoleSessionName
    GetCallerIdentity:
""")
