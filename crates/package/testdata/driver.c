/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The smallest native driver of Windows. driver.sys is made from it, and signed.sys from that:
 *   clang-19 --target=x86_64-pc-windows-msvc -ffreestanding -O2 -c driver.c -o driver.obj
 *   lld-link-19 /driver /subsystem:native /entry:DriverEntry /nodefaultlib /Brepro /out:driver.sys driver.obj
 *   openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 3650 \
 *     -subj "/O=example/CN=driver signer" -addext "extendedKeyUsage=codeSigning"
 *   osslsigncode sign -h sha256 -certs certificate.pem -key key.pem -in driver.sys -out signed.sys
 */
long DriverEntry(void *driver, void *registry_path)
{
	(void)driver;
	(void)registry_path;
	return 0;
}
