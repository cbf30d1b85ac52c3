"""What services beside Personalize allow, for synth and for local AWS.

Sources: the user guides of Lambda (event source mappings of SQS), EventBridge Scheduler
(flexible time windows) and CloudWatch Logs (quotas of Logs Insights).
"""

from typing import Final

MAX_BATCH_WINDOW_SECONDS: Final = 300
MIN_FLEXIBLE_WINDOW_MINUTES: Final = 1
MAX_FLEXIBLE_WINDOW_MINUTES: Final = 1440
MAX_LOG_GROUPS_A_QUERY: Final = 50
MAX_ALARMS_A_WIDGET: Final = 100
