<?php
// Sends an email over SMTP with PHPMailer: from Composer (vendor/), or from the system.
require is_file('vendor/autoload.php') ? 'vendor/autoload.php' : 'libphp-phpmailer/autoload.php';

[$host, $port] = explode(':', getenv('CENTERLEAP_SMTP') ?: 'localhost:2587');
$me = getenv('CENTERLEAP_EMAIL') ?: 'bot@demo.localhost';

$mail = new PHPMailer\PHPMailer\PHPMailer(true);
$mail->isSMTP();
$mail->Host = $host;
$mail->Port = (int) $port;
$mail->SMTPSecure = 'tls';
$mail->SMTPAuth = true;
$mail->Username = 'centerleap';
$mail->Password = getenv('CENTERLEAP_API_KEY');
$mail->setFrom($me);
$mail->addAddress(getenv('CENTERLEAP_TO') ?: $me);
$mail->Subject = 'Hello from PHP';
$mail->Body = 'It works.';
$mail->send();
echo "sent\n";
