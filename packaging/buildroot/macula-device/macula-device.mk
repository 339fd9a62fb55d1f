################################################################################
#
# macula-device
#
################################################################################

MACULA_DEVICE_VERSION = 0.1.0
MACULA_DEVICE_ARCH = $(if $(BR2_aarch64),aarch64,$(if $(BR2_x86_64),x86-64,armv7))
MACULA_DEVICE_SOURCE = macula-$(MACULA_DEVICE_ARCH)
MACULA_DEVICE_SITE = $(call qstrip,$(BR2_PACKAGE_MACULA_DEVICE_FOLDER))
MACULA_DEVICE_SITE_METHOD = file
MACULA_DEVICE_LICENSE = MIT or Apache-2.0
MACULA_DEVICE_LICENSE_FILES = LICENSE-MIT LICENSE-APACHE
MACULA_DEVICE_CHECKOUT = $(BR2_EXTERNAL_MACULA_PATH)/../..

define MACULA_DEVICE_EXTRACT_CMDS
	cp $(MACULA_DEVICE_DL_DIR)/$(MACULA_DEVICE_SOURCE) $(@D)/macula-device
	cp $(MACULA_DEVICE_CHECKOUT)/LICENSE-MIT $(MACULA_DEVICE_CHECKOUT)/LICENSE-APACHE $(@D)
endef

define MACULA_DEVICE_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/macula-device $(TARGET_DIR)/usr/bin/macula-device
endef

define MACULA_DEVICE_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(MACULA_DEVICE_CHECKOUT)/packaging/deb/device.conf \
		$(TARGET_DIR)/etc/macula/device.conf
	$(MACULA_DEVICE_CHECKOUT)/packaging/service-unit > $(@D)/macula-device.service
	$(INSTALL) -D -m 0644 $(@D)/macula-device.service \
		$(TARGET_DIR)/usr/lib/systemd/system/macula-device.service
endef

define MACULA_DEVICE_INSTALL_INIT_OPENRC
	$(INSTALL) -D -m 0755 $(MACULA_DEVICE_CHECKOUT)/packaging/openrc/macula-device \
		$(TARGET_DIR)/etc/init.d/macula-device
	$(INSTALL) -D -m 0644 $(MACULA_DEVICE_CHECKOUT)/packaging/openrc/macula-device.confd \
		$(TARGET_DIR)/etc/conf.d/macula-device
endef

define MACULA_DEVICE_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(MACULA_DEVICE_PKGDIR)/S80macula-device \
		$(TARGET_DIR)/etc/init.d/S80macula-device
	$(INSTALL) -D -m 0644 $(MACULA_DEVICE_CHECKOUT)/packaging/deb/device.conf \
		$(TARGET_DIR)/etc/macula/device.conf
endef

define MACULA_DEVICE_USERS
	macula -1 macula -1 * /var/lib/macula /bin/false - Macula device
endef

define MACULA_DEVICE_PERMISSIONS
	/var/lib/macula d 750 macula macula - - - - -
endef

$(eval $(generic-package))
