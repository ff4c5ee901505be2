"""From settings to channels: which ways alerts take, checked where they are read."""

from resources.alert_channels import Channel, Command, LogFile, Mail, Webhook
from resources.alerts import Alerts, Delivery
from resources.settings import Settings


def alerts_of(settings: Settings) -> Alerts:
    """The alerts of a lakehouse: what is known of them lies in its folder of state."""
    return Alerts(folder=str(settings.state / "alerts"), delivery=_delivery(settings))


def _delivery(settings: Settings) -> Delivery:
    channels: list[Channel] = [LogFile(settings.alert_file)]
    if settings.alert_webhook:
        channels.append(Webhook(settings.alert_webhook.get_secret_value()))
    if settings.alert_smtp and settings.alert_mail_to:
        sender = settings.alert_mail_from or settings.alert_mail_to[0]
        channels.append(Mail(settings.alert_smtp.get_secret_value(), sender, settings.alert_mail_to))
    if settings.alert_command:
        channels.append(Command(settings.alert_command))
    return Delivery(channels, settings.alerts_per_hour, settings.ui_url, settings.secrets)
